// 中文界面。网关自己的封闭词表在这里有对应的说法。
const words = {
  skip: "跳到正文", views: "视图", loading: "加载中……", again: "重试", cancel: "取消", close: "关闭", done: "完成",
  copy: "复制", copied: "已复制", yes: "是", no: "否", none: "无", all: "全部",
  keyButton: "访问", theme_light: "浅色", theme_dark: "深色",

  playgroundView: "试一试",
  playgroundLead: "在调用任何模型之前，先看请求会去哪里、为什么。然后让两个档位同时回答，比一比。",
  prompt: "提示词", promptHint: "问一个简单的问题，或者一个难题……", run: "两边都问", stop: "停止", examples: "试试",
  example1: "法国的首都是哪里？",
  example2: "证明 √2 是无理数。",
  example3: "快速回答：HTTP 429 是什么意思？",
  example4: "仔细想想：这条条款有风险吗？",
  decision: "决策", waiting: "边输入，边显示决策",
  waitingMore: "不调用任何模型，也不花钱。",
  difficulty: "难度", threshold: "深度档门槛", goesTo: "交给",
  worth: "值得深思吗？", rightAnswer: "答对的概率", thinkingExpected: "思考", costExpected: "费用（约）",
  worthIt: "深度档答对的概率高 {0}，每个请求多花 {1}（{2}）。",
  worthItFree: "深度档答对的概率高 {0}，每个请求多花 {1}。",
  worthNothing: "预计深度档在这里不会更好。",
  worthUnpriced: "深度档答对的概率高 {0}。费用未知：这些后端没有价格。",
  worthNote: "这是难度模型对这条提示词的估计；费用假设思考之外的回答长 {0} 个词元。",
  point: "1 个百分点", points: "{0} 个百分点", intent_up: "多想想", intent_down: "快一点", tokensOf: "约 {0} 个词元", notThinking: "不思考",
  rules: "每条规则做了什么", runnerUp: "次选", fallbacks: "失败时改由", signals: "信号", effort: "思考强度 {0}",
  byDefault: "默认思考强度",
  thinking: "思考", thoughtFor: "思考了 {0}", thinkingNow: "正在思考……", asking: "正在等待首个词元……",
  noAnswer: "回答为空。", stopped: "已停止。",
  time: "用时", firstToken: "首个词元", tokens: "词元", thinkingTokens: "其中思考 {0}", cost: "费用", unpriced: "无价格",
  compared: "深度档用时是快速档的 {0}，费用是 {1}。", comparedTime: "深度档用时是快速档的 {0}。",
  whichBetter: "哪个回答更好？", voteMore: "你的选择会作为反馈记录下来，可用于训练。",
  fastBetter: "快速档更好", same: "没有差别", deepBetter: "深度档更好", thanks: "已记录，谢谢。",
  dial: "旋钮", shareDial: "深度占 {0}%",

  liveView: "实时", liveLead: "所有工作进程最近的决策，实时显示。",
  noPrompts: "内容记录已关闭，因此不显示提示词。",
  watching: "实时", reconnecting: "正在重新连接……", paused: "已暂停", pause: "暂停", resume: "继续", resumeNew: "继续（{0} 条新）",
  search: "搜索", searchHint: "后端、租户、密钥、编号……", tier: "档位", reason: "原因", kind: "类型", when: "时间",
  outcome: "结果", backend: "后端", tenant: "租户", key: "密钥",
  nothingYet: "还没有决策",
  nothingYetMore: "从“试一试”或自己的客户端发一个请求，就会出现在这里。",
  nothingFits: "没有符合条件的决策", clear: "清除筛选",
  shownOf: "{1} 条决策中的 {0} 条", decisions: "决策", deepShare: "走深度档", medianFirst: "首个词元（中位数）", spent: "花费", saved: "比全走深度档省 {0}",
  timeline: "最近各次决策的难度，从旧到新", hard: "难", easy: "易", open: "打开 {0}",
  replay: "换一个旋钮", asIs: "维持原判", wouldChange: "会改变", nobody: "没有后端可以处理",
  attempts: "尝试", served: "结果如何", gatewayTime: "网关自身用时", total: "总用时", endpoint: "接口",
  cacheOf: "缓存", savedShort: "节省",

  dialView: "旋钮", dialLead: "每一档花多少、值多少：基于验证数据，以及你自己最近的请求。",
  curve: "费用与质量", curveOf: "数据", allSources: "全部验证来源（模型自述）", observed: "实测结果",
  quality: "回答正确率", deepCalls: "深度调用占比", per1000: "每 1,000 个请求的美元数", thresholdShort: "门槛",
  move: "移动门槛", notSet: "与当前的“{0}”相比", standing: "当前位置：已设为“{0}”。",
  moveSays: "从“{0}”移到这里：正确率 {1}，每 1,000 个请求 {2}。",
  moveSaysShare: "从“{0}”移到这里：正确率 {1}，深度调用 {2}。",
  curveLegend: "按难度路由", randomLegend: "随机混合", hereLegend: "此处", setLegend: "当前设置",
  ownTraffic: "你最近的 {0} 个请求在各档的情况", ownNone: "还没有请求：有了请求就会显示数字。",
  here: "当前", curveNote: "金额按各档首个后端的价格计算，假设思考之外的回答长 {0} 个词元。",
  curveUnpriced: "这些后端没有已知价格，因此曲线显示深度调用占比，而不是金额。",
  noCurve: "这个模型包没有曲线", noCurveMore: "可用 thalamus evaluate --report 生成。",
  setIt: "要采用它，请写入 thalamus.yaml；运行中的网关会自动读取。",

  backendsView: "后端", backendsLead: "每台服务器：是否在服务、正在处理多少、有多慢。",
  replica: "服务器", state: "状态", breakerHead: "熔断器", inFlight: "处理中", inLine: "排队", slowness: "延迟",
  drain: "下线", undrain: "恢复", drained: "已下线：不再接收新请求。", undrained: "已恢复服务。",
  serving: "在服务", ofReplicas: "共 {0} 台", inFlightAll: "处理中", inLineAll: "排队中",

  keysView: "密钥", keysLead: "谁可以调用、可以花多少，以及最近 30 天花了多少。",
  name: "名称", status: "状态", spent30: "30 天花费", budgetHead: "今日预算", ends: "末四位", create: "新建密钥",
  rotate: "轮换", rotateTitle: "为“{0}”换发新密钥", overlap: "旧密钥继续有效",
  overlap0: "立即失效", overlap3600: "一小时", overlap86400: "一天", overlap604800: "一周",
  revoke: "吊销", revokeSure: "吊销“{0}”？", revokeMore: "使用它的人从现在起会被拒绝，无法撤回。",
  tokenNow: "请现在复制密钥：网关只保存摘要，之后无法再显示。",
  budget: "每日美元预算", budgetHint: "不限", noKeys: "还没有密钥",
  noKeysMore: "没有密钥时，能访问网关的人都可以调用。第一个密钥会对其他人关闭网关。",
  spending: "各租户、各密钥的花费", requests: "请求数", savedHead: "节省",
  spendingNone: "最近 30 天没有花费。", ledgerOff: "没有记账：ledger.place 为 off。",
  ofBudget: "{0}，共 {1}", noBudget: "不限",

  cacheView: "缓存", cacheLead: "同一租户的相同请求，直接给出保存的回答。",
  mode: "模式", held: "已保存", entries: "{0} 个回答", inRedis: "在 Redis 中", inProcess: "在本进程中", hitRate: "命中率",
  hitsOf: "查找 {1} 次，命中 {0} 次", ttl: "保存时长", outcomes: "各结果的请求数", outcomesNone: "启动以来没有请求。",
  cacheOff: "缓存已关闭", cacheOffMore: "在 thalamus.yaml 中将 cache.mode 设为 exact 或 semantic，即可保存回答。",
  erase: "清除租户", eraseMore: "清除该租户保存的回答、对话、响应与思考内容。",
  eraseDo: "清除", eraseSure: "清除“{0}”的保存内容？", eraseSureMore: "它的回答、对话、响应与思考内容都会删除，无法撤回。",
  erased: "已清除：{0}", erasedNothing: "没有保存过它的内容。", minutes: "{0} 分钟",

  adminNeeded: "此视图需要管理密钥", adminRefused: "网关拒绝了这个密钥",
  adminNeededMore: "密钥只保存在此标签页，关闭即忘，并以请求头发送。", enterKey: "输入密钥",
  keysTitle: "此标签页的密钥", apiKey: "API 密钥（用于提问）", adminKey: "管理密钥（用于其他视图）", keep: "使用", forget: "全部忘记",
  failed: "没有成功", status401: "需要密钥", keyFirst: "这里的调用者需要密钥。它只保存在此标签页，并以请求头发送。", status403: "这个密钥没有权限", status404: "没有找到",
  status429: "已达到限额", statusDown: "后端没有回答", retryAfter: "请在 {0} 秒后重试。",
  unreachable: "无法连接网关", unreachableMore: "它在运行吗？请稍后重试。",
};

const tier = { fast: "快速", deep: "深度", "fast-mini": "快速 mini", "deep-mini": "深度 mini" };
const kind = {
  chat: "闲聊", writing: "写作", knowledge: "知识", coding: "编程", maths: "数学", logic: "逻辑", planning: "规划",
  business: "商务", agentic: "智能体",
};
const dial = { cheap: "节省", balanced: "均衡", quality: "质量", max: "最高" };
const reason = {
  difficulty: "难度", client: "请求指定", "intent-up": "要求深思", "intent-down": "要求快答", sticky: "延续对话", route: "命名路由",
  key: "密钥限制", "limit-mini": "限额", load: "负载", fallback: "改由其他", cascade: "检查未过", "max-tokens": "长度上限",
  "constraint-vision": "需要看图", "constraint-audio": "需要听音频", "constraint-tools": "需要工具", "constraint-json": "需要 JSON",
  "constraint-logprobs": "需要对数概率", "constraint-context": "上下文长度",
};
const why = {
  deep: "难度 {0} 不低于“{2}”的深度档门槛 {1}。",
  fast: "难度 {0} 低于“{2}”的深度档门槛 {1}。",
  client: "请求自己指定了由谁回答，或要多认真地想。",
  "intent-up": "提示词要求认真思考。",
  "intent-down": "提示词要求快速回答。",
  sticky: "对话停留在它的难度所在的档位。",
  route: "配置中的命名路由这样规定。",
  key: "调用者的密钥不允许其他档位。",
  "limit-mini": "该档位已达到限额，由替补接手。",
  load: "该档位正在卸载负载，由其他档位接手。",
  fallback: "该档位没有可用的后端，由其他档位接手。",
  cascade: "快速回答没有通过检查，由深度档回答。",
  "max-tokens": "调用者的 max_tokens 没有留出思考的空间。",
  "constraint-vision": "只有这个后端能看图。",
  "constraint-audio": "只有这个后端能听音频。",
  "constraint-tools": "只有这个后端能调用工具。",
  "constraint-json": "只有这个后端能保证 JSON。",
  "constraint-logprobs": "只有这个后端能给出对数概率。",
  "constraint-context": "只有这个后端的上下文足够长。",
};
const signal = {
  "conversation type": "对话类型", complexity: "复杂度", "tool needs": "工具需求", "explicit intent": "明确意图",
  "prompt tokens": "提示词长度", "client effort": "请求的强度", "client max tokens": "请求的上限", conversation: "所在对话",
  modality: "模态", "response format": "回答格式", language: "语言", key: "密钥", "limits reached": "已到限额", "tiers under load": "高负载档位",
};
const rule = {
  difficulty: "难度", intent: "意图", "client tier": "请求的档位", "client effort": "请求的强度", "client model": "请求的模型", client: "请求", routes: "命名路由", dial: "旋钮",
  gain: "收益", limits: "限额", abilities: "能力", cascade: "级联", "cascade check": "级联检查", key: "密钥", "tool loop": "工具循环",
  "max tokens": "长度上限",
};
const outcome = { done: "完成", failed: "失败", dropped: "客户端离开" };
const condition = { serving: "服务中", draining: "已下线", unhealthy: "不健康", cooling: "冷却中", broken: "已熔断" };
const breaker = { closed: "闭合", open: "断开", "half-open": "半开" };
const cache = {
  "hit-exact": "精确命中", "hit-semantic": "语义命中", "hit-shared": "共享调用", miss: "未命中", bypass: "未经缓存",
};
const told = [
  [/^goes fast$/, "走快速档"], [/^goes deep$/, "走深度档"], [/^goes (\S+)$/, "走 $1"], [/^stays (\S+)$/, "留在 $1"],
  [/ \(dial cheap\)/, "（节省）"], [/ \(dial balanced\)/, "（均衡）"], [/ \(dial quality\)/, "（质量）"], [/ \(dial max\)/, "（最高）"],
  [/, unsure/, "，不确定"], [/, ([+−-][\d.]+) for the prefix that a change of tier would read again/, "，换档需重读前文 $1"],
  [/, ([+−-][\d.]+) for (“.*”)/, "，因$2 $1"], [/^(\d+)% sure$/, "$1% 把握"],
  [/^this turn ([\d.]+), answers right: fast (\d+)%, deep (\d+)%, by (.+)$/, "本轮 $1；答对：快速 $2%，深度 $3%（$4）"],
  [/(\d+) declared/, "声明了 $1 个工具"], [/, in a loop/, "，处于循环中"], [/, asks for fresh facts/, "，需要最新信息"],
  [/^a safe estimate$/, "偏高估计"], [/^leans (\d+)% on it$/, "依赖程度 $1%"],
  [/^fast: difficulty under ([\d.]+)$/, "难度低于 $1 时走快速档"], [/^deep: difficulty from ([\d.]+)$/, "难度达到 $1 时走深度档"],
  [/^deep would do no better$/, "深度档不会更好"], [/^serves (\S+)$/, "由 $1 回答"], [/^rules out (\S+)$/, "排除 $1"],
  [/^under way at (\S+)$/, "正在 $1 进行"], [/^raised to (\d+) for thinking if (\S+) takes over$/, "若由 $2 接手，为思考提高到 $1"],
  [/^raised to (\d+) for thinking$/, "为思考提高到 $1"],
  [/^too few to think in: answers without$/, "不够思考，直接回答"], [/^not checked$/, "不检查"], [/^holds$/, "成立"],
  [/^(\S+) answers if (\S+) fails$/, "$2 未通过时由 $1 回答"], [/, complete, no refusal$/, "，完整且不拒答"],
  [/^leaves the choice$/, "不作决定"], [/^no tier and no effort$/, "没有指定档位或强度"], [/^none that is remembered$/, "没有记录"],
  [/^no words of pace that count$/, "没有快慢的说法"], [/^(\d+) named$/, "$1 条"], [/^none holds$/, "都不成立"],
  [/^a share of (\S+)$/, "占比 $1"], [/^not (calibrated|allowed): stays at (\S+)$/, "不可用，仍为 $2"],
  [/^fast: what difficulty says by itself$/, "仅看难度会走快速档"], [/^deep: what difficulty says by itself$/, "仅看难度会走深度档"],
  [/^(\S+): the key does not allow it$/, "$1：密钥不允许"], [/limit reached, free again in (\d+) s/, "已到限额，$1 秒后恢复"],
  [/sheds load$/, "正在卸载负载"], [/^of the last question, coarsely$/, "最后一个问题，粗略判断"], [/^the tiers that it allows$/, "它允许的档位"],
  [/^text/, "文本"], [/ and images/, "、图像"], [/ and audio/, "、音频"],
  [/^confidence ≥/, "把握 ≥"], [/self-check/, "自检"],
];

export default {
  words, tier, kind, dial, reason, why, signal, rule, outcome, condition, breaker, cache, told,
};
