"""Fifty prompts of 10 to 300 words, English and Chinese, easy and hard, so that routing has something to decide."""

TASKS = (
    "What is the capital of Mongolia, and roughly how many people live there today?",
    "Translate into German, please, keeping the polite form: Could you tell me where the nearest pharmacy is?",
    "Give me three short names for a bakery that also repairs bicycles.",
    "Rewrite this politely: send me the numbers now, I have asked twice already.",
    "Prove that the sum of the first n odd numbers is n squared, first by induction and then with a picture in words.",
    "A train leaves at 9:40 at 80 km/h and another at 10:05 at 110 km/h from the same station. When are they level?",
    "Write a Python function that merges overlapping intervals, and explain its running time in one sentence.",
    "Think hard: is there a polynomial with integer coefficients whose values at 1, 2 and 3 are 2, 3 and 5? Show why.",
    "Which of these is a fruit: carrot, tomato, potato, spinach? Answer with one word only, please.",
    "Explain to a ten year old why the sky is blue at noon and red in the evening.",
    "Design a rate limiter for an API that runs in four regions; discuss consistency, clock skew and what fails first.",
    "Find the bug: `for i in range(len(xs)): if xs[i] == 0: xs.pop(i)`. When does it raise? Write it right.",
    "What does the idiom 'to bite the bullet' mean, and where may it come from?",
    "Plan a three day trip to Kyoto for a family with two small children who love trains, on a modest budget.",
    "How many ways are there to tile a 2 by 10 board with dominoes? Derive the recurrence before you count.",
    "Summarise the plot of Romeo and Juliet in two sentences without naming a single character.",
    "Write a SQL query for the second highest salary in each department, with ties counted once.",
    "We lose 4 % of customers a month and win 300 new ones. Where does that end, starting from 5,000 customers?",
    "Quick answer please: how many grams of sugar fit in a normal teaspoon?",
    "Compare eventual consistency with linearizability using a shopping basket as the example, in about 150 words.",
    "My flight was cancelled and the airline offers a voucher. Draft a firm, friendly letter asking for a refund.",
    "Is it true that a goldfish forgets everything after three seconds? Say what is known.",
    "Refactor a function of 200 lines that parses, validates and stores an order: in which steps would you proceed?",
    "Five houses stand in a row, each of another colour. Red is left of blue, green not at an end. List all orders.",
    "Give me a haiku about rain on a tin roof, then the same in plain prose.",
    "法国的首都是哪里？请用一句话回答，并告诉我那里大约有多少人口。",
    "请把下面这句话翻译成英文：昨天晚上下了一整夜的雨，今天早上路上到处都是积水。",
    "证明根号二是无理数，并说明这个证明为什么不能直接用在根号四上。",
    "帮我写一封请假邮件，理由是孩子发烧，语气要礼貌一些，字数不要太多。",
    "仔细想想：一个水池有两个进水管和一个出水管，分别需要六小时、八小时和十二小时，同时打开多久能注满？",
    "用 Python 写一个函数，找出字符串中最长的回文子串，并分析它的时间复杂度和空间复杂度。",
    "快点告诉我，一公斤等于多少斤？顺便说说一斤是多少克。",
    "比较一下微服务架构和单体架构的优缺点，我们团队只有六个人，每天大约有十万个请求，应该怎么选？",
    "写一首关于秋天的五言绝句，要求押韵，并解释每一句的意思。",
    "我的程序在并发量大的时候偶尔会死锁，日志里看不出原因，请一步一步告诉我该怎么排查。",
    "小明今年十岁，爸爸的年龄是他的四倍，再过多少年爸爸的年龄正好是他的两倍？请列出方程。",
    "推荐三本适合初中生阅读的科普书，每本用一句话说明理由。",
    "请解释什么是混合专家模型，为什么它的推理成本比同样大小的稠密模型低很多？",
)

INCIDENT = """\
Here is the report. In the night of the fourth the orders service began to answer slowly, first in one zone, then
in both. The team on call saw the queue of unpaid orders grow from forty to eleven thousand within twenty minutes,
while the database showed no unusual load. A deployment had been made six hours earlier that changed the size of
the connection pool from sixty to six hundred, because a load test had shown timeouts. At first this helped. When
the nightly export started, however, every worker held a connection for the length of the export, and the proxy in
front of the database refused new ones with an error that our client retried at once and without a limit.
Restarting the workers helped for two minutes each time. At three the export was stopped by hand and everything
recovered. Nobody was told that the export had been moved to the same hour as the backup, and the alarm for refused
connections had been muted in spring because it was too noisy. Customers noticed: we counted 412 complaints, of
which 70 asked for their money back. The finance team believes that the direct damage is small, but two partners
have asked for a written account of what happened and what will change.
"""

LEDGER = """\
def settle(accounts, transfers):
    pending = sorted(transfers, key=lambda t: t.when)
    for transfer in pending:
        source, target = accounts[transfer.source], accounts[transfer.target]
        if source.balance < transfer.amount:
            transfer.state = 'refused'
            continue
        source.balance -= transfer.amount
        target.balance += transfer.amount * rate(source.currency, target.currency)
        transfer.state = 'done'
        if transfer.fee:
            source.balance -= transfer.fee
            accounts['fees'].balance += transfer.fee
    return [t for t in pending if t.state == 'refused']
The code runs in several processes at once over the same rows, and the balances are floats. Now and then an account
goes below zero although the check stands right there, and the sum of all balances drifts by some cents a day. The
rate is fetched over the network and may change while the loop runs.
"""

MEETING = """\
以下是会议记录。市场部认为新产品的定价偏高，竞争对手的同类产品便宜百分之二十左右，而且在三个大城市都有自己的门\
店。研发部解释说，成本主要来自电池和芯片，如果换用国产芯片，成本可以下降百分之八，但是需要重新做认证，至少推迟\
四个月上市。财务部指出，如果推迟上市，今年的收入目标就无法完成，银行的贷款条件也会受到影响。客服部补充说，老用\
户最关心的不是价格，而是售后维修的时间，目前平均需要十一天，投诉里有一半和这个有关。总经理要求各部门在下周三以\
前提交书面意见，说明在价格、上市时间和售后服务三者之间应该怎样取舍，并且给出可以量化的依据。
"""

REQUESTS = (
    "Read the following and name the three root causes, most important first, with what you would change. ",
    "Summarise this in two sentences for somebody who has no time. ",
    "What questions would you still ask before you decide anything? ",
    "请用三点概括下面的内容，并指出其中最大的风险是什么。",
)

PROMPTS: tuple[str, ...] = (
    *TASKS,
    *(request + passage for passage in (INCIDENT, LEDGER, MEETING) for request in REQUESTS),
)
