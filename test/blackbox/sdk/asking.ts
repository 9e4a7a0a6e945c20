import assert from "node:assert/strict";
import { raisedBriefly, textsOf } from "./remote-sdk.ts";
import type { Scenario } from "./stage.ts";

/** Waited for to its end, and long enough for answers that are given at once. */
const SOON_MS = 3_000;

/** Questions and answers. */
export const ASKING: readonly Scenario[] = [
  {
    title: "S1-5.4: a question to one is answered to who asked, and to nobody else",
    async play(stage) {
      const channel = stage.channel();
      const bus = await stage.open();
      const [asker, expert] = [bus.agent(stage.name("asker")), bus.agent(stage.name("expert"))];
      await expert.join(channel);
      const questions = await expert.listen();
      const bystander = await bus.agent("bystander").listen({ channels: [channel] });
      const inbox = await asker.listen();
      await stage.settled();

      const direct = asker.ask({ what: "sum", of: [1, 2] }, { to: expert.id, type: "command", name: "Sum" });
      const question = await questions.next();
      assert.deepEqual([question.type, question.name, question.direct], ["command", "Sum", true]);
      await question.reply({ sum: 3 });
      const [answer, ...others] = await direct;
      assert.deepEqual([answer!.content, answer!.type, answer!.sender], [{ json: { sum: 3 } }, "result", expert.id]);
      assert.deepEqual([answer!.correlationId, answer!.causation], [question.correlationId, question.position]);
      assert.deepEqual([answer!.hopCount, others], [1, []]);

      const open = asker.ask("who knows?", { channel });
      await (await questions.next()).reply("I do");
      assert.deepEqual(textsOf(await open), ["I do"]);
      await expert.send("for all", { channel });
      assert.deepEqual(textsOf(await bystander.take(2)), ["who knows?", "for all"]);
      // Answers go to who asked them, not into a loop that reads the inbox.
      await expert.send("for the inbox", { to: asker.id });
      assert.deepEqual(textsOf(await inbox.take(1)), ["for the inbox"]);
    },
  },
  {
    title: "S0-2.1.3b: a question to many collects an answer of each, or those that came in time",
    async play(stage) {
      const channel = stage.channel();
      const group = stage.name("critics");
      const bus = await stage.open();
      const asker = bus.agent(stage.name("asker"));
      const names = ["ann", "ben", "cas"].map((name) => stage.name(name));
      const critics = await Promise.all(
        names.map(async (name) => {
          const critic = bus.agent(name);
          await critic.register({ groups: [group], capabilities: [group] });
          return { name, questions: await critic.listen({ channels: [channel] }) };
        }),
      );
      const answerAll = async (from: typeof critics) => {
        for (const { name, questions } of from) await (await questions.next()).reply(`${name} answers`);
      };
      await stage.settled();
      const all = asker.ask("and?", { channel, to: { groups: [group] }, answers: "audience" });
      await answerAll(critics);
      assert.deepEqual((await all).map(({ sender }) => sender).sort(), [...names].sort());

      const two = asker.ask("two of you?", { channel, answers: 2 });
      await answerAll(critics.slice(1));
      assert.deepEqual((await two).map(({ sender }) => sender).sort(), names.slice(1).sort());
      await critics[0]!.questions.next();

      // The third one never answers: what came counts when the time is up.
      const some = asker.ask("late?", { channel, to: names, answers: "audience", timeoutMs: SOON_MS });
      await answerAll(critics.slice(0, 2));
      assert.deepEqual((await some).map(({ sender }) => sender).sort(), names.slice(0, 2).sort());

      await critics[2]!.questions.next();

      const chosen = asker.ask("one?", { channel, to: { select: { capabilities: [group], limit: 1 } } });
      const question = await Promise.any(critics.map(({ questions }) => questions.next()));
      await question.reply("me");
      assert.deepEqual(textsOf(await chosen), ["me"]);
    },
  },
  {
    title: "S3-E.2: a question that nobody answers in time fails with DEADLINE, one to nobody at once",
    async play(stage) {
      const bus = await stage.open();
      const [asker, silent] = [bus.agent(stage.name("asker")), bus.agent(stage.name("silent"))];
      const questions = await silent.listen();
      await stage.settled();
      const unanswered = asker.ask("hello?", { to: silent.id, timeoutMs: SOON_MS });
      const question = await questions.next();
      assert.equal(await raisedBriefly(unanswered), "DEADLINE_EXCEEDED DEADLINE SAME");
      const unknown = asker.ask("hello?", { to: stage.name("nobody") });
      assert.equal(await raisedBriefly(unknown), "NOT_FOUND UNKNOWN_RECIPIENT NEVER");

      // An answer that comes too late disturbs nobody, and the next question is answered.
      const inbox = await asker.listen();
      await question.reply("sorry, late");
      const next = asker.ask("again?", { to: silent.id });
      await (await questions.next()).reply("in time");
      assert.deepEqual(textsOf(await next), ["in time"]);
      await silent.send("unasked", { to: asker.id });
      assert.deepEqual(textsOf(await inbox.take(1)), ["unasked"]);
    },
  },
];
