"""A worker that calculates. Usage: python3 examples/supervisor/calculator.py"""

import ast
import asyncio
import operator
import os
import signal

from agentbus import AgentBus

CHANNEL = "office:questions"
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


async def main() -> None:
    async with AgentBus(os.environ.get("AGENTBUS_URL", "http://127.0.0.1:7400")) as bus:
        calculator = bus.agent(
            "calculator",
            kind="service",
            capabilities=[{"name": "arithmetic", "description": "Works out a term of + - * / and brackets"}],
        )
        only_mine = {"types": ["command"], "direct_only": True}
        async with calculator.subscribe(channels=[CHANNEL], filter=only_mine) as subscription:
            await subscription.ready()
            leave_on_signal(subscription.close)
            print("calculator waits for questions", flush=True)

            async for question in subscription:
                await question.reply(answer_to(question.text))


def answer_to(term: str) -> str:
    try:
        return f"{calculate(ast.parse(term, mode='eval').body):g}"
    except (SyntaxError, ValueError, ZeroDivisionError) as error:
        return f"I cannot work that out: {error}"


def calculate(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](calculate(left), calculate(right))
        case _:
            raise ValueError("only numbers, + - * / and brackets")


def leave_on_signal(close) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: asyncio.ensure_future(close()))


asyncio.run(main())
