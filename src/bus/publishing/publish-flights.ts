import { type BusError, isBusError } from "../../core/errors.ts";
import type { ChannelView } from "../directory/registry.ts";

/** The batches of one channel that wait for its log, all routed by the same view of it. */
interface Flight {
  readonly view: ChannelView;
  batches: number;
  /** The end of the queue of batches that are routed again; undefined: none is. */
  rerouting: Promise<void> | undefined;
  /** A batch that is to be sent again: nothing behind it may be stored before it. */
  failure: BusError | undefined;
  readonly behind: ((failure: BusError | undefined) => void)[];
}

/**
 * Keeps the order of batches of one channel over a change of its configuration. The log answers "stale" to a batch that was
 * routed by the old one, and it has to be routed again; meanwhile this node may know the new one, and a later batch of
 * the same producer would be stored at once, before it. So batches of another view wait until those in flight are through,
 * and what has to be routed again goes one after another.
 */
export class PublishFlights {
  readonly #flights = new Map<string, Flight>();

  /** Whether a batch routed by this view would overtake others. */
  isBehind(view: ChannelView): boolean {
    if (this.#flights.size === 0) return false; // the usual case, where the log answers at once
    const flight = this.#flights.get(view.name.key);
    return flight !== undefined && (flight.view !== view || flight.rerouting !== undefined);
  }

  /**
   * Does it once all that is in flight is through, before anything that comes later. Rejects with the failure of a batch
   * in front that is to be sent again. Only for what `isBehind`.
   */
  follow<T>(view: ChannelView, task: () => T | Promise<T>): Promise<T> {
    const flight = this.#flights.get(view.name.key)!;
    return new Promise((resolve, reject) => {
      flight.behind.push((failure) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        // Called and not awaited: what it hands to the log has to be there before what comes behind it.
        try {
          resolve(task());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** A batch routed by this view is on its way to the log. */
  depart(view: ChannelView): Flight {
    const { key } = view.name;
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      flight = { view, batches: 0, rerouting: undefined, failure: undefined, behind: [] };
      this.#flights.set(key, flight);
    }
    flight.batches++;
    return flight;
  }

  /** The batch is stored or refused, whatever became of it. */
  arrive(flight: Flight): void {
    if (--flight.batches > 0) return;
    this.#flights.delete(flight.view.name.key);
    for (const go of flight.behind) go(flight.failure);
  }

  /** The batch is refused. When it is to be sent again, nothing behind it may be stored before it. */
  fail(flight: Flight, error: unknown): void {
    if (isBusError(error) && error.retry === "SAME") flight.failure ??= error;
  }

  /** Routes a batch again, behind those of the same flight that are routed again already. */
  reroute<T>(flight: Flight, task: () => Promise<T>): Promise<T> {
    const before = flight.rerouting ?? Promise.resolve();
    const result = before.then(() => {
      if (flight.failure !== undefined) throw flight.failure;
      return task();
    });
    flight.rerouting = result.then(
      () => {},
      (error: unknown) => this.fail(flight, error),
    );
    return result;
  }
}
