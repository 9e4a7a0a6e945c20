import { CODES, type CodeName, REASONS, type ReasonEntry } from "../../src/core/errors.ts";

const INTRODUCTION = `# Errors

Generated from src/core/errors.ts by \`node scripts/errors-docs.ts\`. Do not edit.

A failed call carries a gRPC status and a \`google.rpc.ErrorInfo\` with the \`reason\` and the domain \`agentbus\`. A failed
item of a stream that goes on carries the same in an \`agentbus.v1.Error\`. The table is closed: no other reason is ever
told. Decide by the reason, never by the message, which is for people and may change.

\`retry\` in the metadata says what a client does:

| \`retry\` | What to do |
| --- | --- |
| \`SAME\` | Send the same again, after \`RetryInfo.retry_delay\` when there is one, with the same idempotency key. |
| \`RECONNECT\` | Open a new stream, at best to another node, then send the same again. |
| \`NEVER\` | The same would fail again. Change the request, or tell a person. |

\`index\` in the metadata is the message of the batch that was wrong, from 0: nothing of the batch was stored.
\`google.rpc.BadRequest\` names the fields that were wrong.
`;

/** The page docs/errors.md. */
export function errorReference(): string {
  const entries = Object.entries(REASONS) as [string, ReasonEntry][];
  const codes = (Object.keys(CODES) as CodeName[]).filter((code) => entries.some(([, entry]) => entry.code === code));
  const sections = codes.map((code) => {
    const rows = entries
      .filter(([, entry]) => entry.code === code)
      .map(([reason, { retry, text }]) => `| \`${reason}\` | \`${retry}\` | ${text.replaceAll("|", "\\|")} |`);
    return [`## ${code} (${CODES[code]})\n`, "| Reason | Retry | Meaning |", "| --- | --- | --- |", ...rows, ""].join(
      "\n",
    );
  });
  return [INTRODUCTION, ...sections].join("\n");
}
