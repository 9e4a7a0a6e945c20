/** A list that the bus tells in pages, as one. */
export async function* pages<Item>(
  fetch: (pageToken: string) => Promise<{ items: readonly Item[]; nextPageToken: string }>,
): AsyncGenerator<Item, undefined, undefined> {
  let pageToken = "";
  do {
    const { items, nextPageToken } = await fetch(pageToken);
    yield* items;
    pageToken = nextPageToken;
  } while (pageToken !== "");
}
