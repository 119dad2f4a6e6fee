"""Conversations whose estimates are pinned in every bundle: short, hard, long, foreign, broken and empty ones."""

from __future__ import annotations

from typing import Any, Final

_PASTED: Final = "The harbour was quiet that morning, and the boats lay still in the fog. " * 120

GOLDEN: Final[tuple[dict[str, Any], ...]] = (
    {"id": "empty", "prompt": ""},
    {"id": "greeting", "prompt": "hi there!"},
    {"id": "greeting-zh", "prompt": "你好，今天过得怎么样？"},
    {"id": "recipe", "prompt": "How long should I boil an egg so that the yolk stays soft?"},
    {"id": "recipe-zh", "prompt": "番茄炒蛋怎么做才好吃？"},
    {"id": "proof", "prompt": "Prove that there are infinitely many primes congruent to 3 modulo 4."},
    {"id": "proof-zh", "prompt": "证明：存在无穷多个模 4 余 3 的素数。"},
    {"id": "proof-de", "prompt": "Beweise, dass es unendlich viele Primzahlen gibt, die kongruent zu 3 modulo 4 sind."},
    {
        "id": "competition",
        "prompt": "Find the number of ordered triples $(a,b,c)$ of positive integers with $abc=2^{10}3^{6}$ "
        "such that $\\gcd(a,b)=1$ and $b+c$ is divisible by $7$.",
    },
    {
        "id": "competition-zh",
        "prompt": "设正整数 $a,b,c$ 满足 $a^2+b^2=c^2$，且 $c-b=9$，求满足 $a<2000$ 的三元组的个数。",
    },
    {"id": "document", "prompt": f"Summarise this in two sentences.\n\n{_PASTED}"},
    {
        "id": "agent",
        "messages": [
            {"role": "system", "content": "You are a coding agent. Use the tools to fix the failing test."},
            {"role": "user", "content": "The retry loop deadlocks under load; find out why and fix it."},
            {"role": "assistant", "content": "I will read the worker first."},
            {
                "role": "tool",
                "content": "class Worker:\n    def run(self):\n        with self.lock:\n            self.wait()\n",
            },
            {"role": "user", "content": "continue"},
        ],
        "tools": 4,
    },
    {"id": "emoji", "prompt": "😀🎉 \u200b\ud83d \x00"},
)
