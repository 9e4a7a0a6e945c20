import assert from "node:assert/strict";
import fc from "fast-check";
import { it } from "vitest";
import { SortedIds } from "./sorted-ids.ts";

const id = fc.stringMatching(/^[ab:.]{1,4}$/);

it("SortedIds agrees with a set that is sorted when asked", () => {
  const step = fc.record({ add: fc.boolean(), id });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), id, fc.oneof(id, fc.constant("")), (steps, after, prefix) => {
      const ids = new SortedIds();
      const model = new Set<string>();
      for (const { add, id } of steps) {
        assert.equal(add ? ids.add(id) : ids.delete(id), add ? !model.has(id) : model.has(id));
        if (add) model.add(id);
        else model.delete(id);
      }
      const sorted = [...model].sort();
      assert.deepEqual(ids.all, sorted);
      assert.equal(ids.size, sorted.length);
      for (const one of sorted) assert.ok(ids.has(one));
      const withPrefix = sorted.filter((one) => one.startsWith(prefix));
      assert.equal(ids.countWithPrefix(prefix), withPrefix.length);
      assert.deepEqual([...ids.from("", prefix)], withPrefix);
      assert.deepEqual(
        [...ids.from(after)],
        sorted.filter((one) => one > after),
      );
      if (after.startsWith(prefix)) {
        assert.deepEqual(
          [...ids.from(after, prefix)],
          withPrefix.filter((one) => one > after),
        );
      }
    }),
  );
});
