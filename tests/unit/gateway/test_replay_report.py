"""`thalamus replay` and `thalamus calibrate` over logs that real engines made: the sums, the curve, the commands."""

import dataclasses
import importlib.util
import itertools
import json
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from classifiers.bundle import load_bundle
from classifiers.heuristic import HeuristicModel
from classifiers.types import Conversation, Estimate, Kind, Turn
from gateway.records.accounting import Attempt, Outcome, Record
from gateway.records.decision_log import DecisionLog, DecisionLogSettings
from gateway.records.prices import Price, Usage
from gateway.replaying.calibrate import calibrate, prompt_sample
from gateway.replaying.commands import register
from gateway.replaying.curve import Sample, draw_curve
from gateway.replaying.edit import with_value, write_value
from gateway.replaying.expectation import tokens_at
from gateway.replaying.reading import ReplayError, Unreadable, read_decisions, read_prompts
from gateway.replaying.report import summarise
from router.engine import Engine
from router.policy import Policy, TierTarget
from router.replay import Logged, Tokens, read_line, replay
from router.types import Candidate, Effort, RouteRequest, Target, Tier

PRICES = {"small": Price(0.1, 0.4, 0.05), "big": Price(1.0, 4.0, 0.5)}
CONFIG = """\
backends:
  small: {url: "http://127.0.0.1:1/v1", model: small, price: {input: 0.1, output: 0.4, cached: 0.05}}
  big: {url: "http://127.0.0.1:1/v1", model: big, price: {input: 1.0, output: 4.0, cached: 0.5}}
tiers: {fast: small, deep: big}
routing:
  dial: balanced  # as it is
"""
POLICY = Policy(
    tiers={Tier.FAST: (TierTarget("small"),), Tier.DEEP: (TierTarget("big"),)},
    candidates={"small": Candidate("small"), "big": Candidate("big")},
)
SUBJECTS = ("triangles", "queues", "the tides", "prime numbers", "leases", "sonnets", "拓扑", "合同", "二叉树")
ASKS = (
    "Name three facts about {}.",
    "Write a friendly mail about {}.",
    "Prove step by step that the theorem of {} holds for every integer n, and derive the worst case.",
    "证明关于{}的定理，并推导最优算法的复杂度。",
    "What is new with {}?",
    "Write a Python function that sorts {} and optimise its running time.",
    "How many {} are there? Just the number.",
)
PROMPTS = [ask.format(subject) for ask, subject in itertools.product(ASKS, SUBJECTS)]


@pytest.fixture(scope="module")
def reflex() -> Engine:
    return Engine(POLICY, load_bundle("reflex-v1"))


@pytest.fixture(scope="module")
def log(reflex: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log") / "decisions.jsonl", reflex)


def write_log(path: Path, engine: Engine, prompts: list[str] = PROMPTS, *, content: bool = False) -> Path:
    """Log what the engine decides for conversations of two turns, with times and tokens that its tiers would take."""
    with DecisionLog(path, DecisionLogSettings(content=content)) as take:
        for number, prompt in enumerate(prompts):
            turns = (Turn("user", prompt),)
            first = engine.decide(RouteRequest("auto", Conversation(turns)))
            take(finished(RouteRequest("auto", Conversation(turns)), engine, f"talk {number}"))
            turns += (Turn("assistant", "…"), Turn("user", "Why?"))
            take(finished(RouteRequest("auto", Conversation(turns), session=first.session), engine, f"talk {number}"))
    return path


def finished(request: RouteRequest, engine: Engine, conversation: str) -> Record:
    decision = engine.decide(request)
    target = decision.targets[0]
    deep = target.backend == "big"
    usage = Usage(100, 1_500 if deep else 300, 40, 1_200 if deep else 0)
    return Record(
        "chat",
        tenant="acme",
        key="ci",
        stream=True,
        request=request,
        conversation=conversation,
        decision=decision,
        target=target,
        attempts=[Attempt(target.backend, None)],
        usage=usage,
        cost=PRICES[target.backend].cost(usage),
        outcome=Outcome.DONE,
        status=200,
        first_token_s=8.0 if deep else 0.2,
        total_s=10.0 if deep else 1.0,
    )


def lines_of(log: Path) -> list[Logged]:
    return [read_line(line) for line in log.read_bytes().splitlines()]


def with_thresholds(engine: Engine, **thresholds: float) -> Engine:
    return Engine(
        Policy(tiers=engine.policy.tiers, candidates=engine.policy.candidates, thresholds=thresholds), engine.model
    )


def test_the_same_policy_changes_nothing(reflex, log):
    report = summarise(replay(lines_of(log), reflex), bundle="reflex-v1", prices=PRICES)
    assert (report.requests, report.changed, report.changes) == (2 * len(PROMPTS), 0, ())
    for shift in (report.cost, report.quality, report.latency):
        assert shift.requests == report.requests
        assert shift.before == shift.after
    assert {tier: count.before for tier, count in report.tiers.items()} == {
        tier: count.after for tier, count in report.tiers.items()
    }
    assert {"fast", "deep"} == set(report.tiers)


def test_the_sums_are_those_of_the_requests(reflex, log):
    never = with_thresholds(reflex, balanced=1.0)
    replayed = list(replay(lines_of(log), never))
    report = summarise(replayed, bundle="reflex-v1", prices=PRICES)
    moved = [each for each in replayed if each.changed]
    assert report.changed == len(moved) == report.moves["deep → fast"].requests > 0
    assert sum(report.moves["deep → fast"].kinds.values()) == len(moved)
    assert report.tiers["fast"].after == report.tiers["fast"].before + len(moved)
    assert sum(kind.changed for kind in report.kinds.values()) == len(moved)
    assert sum(kind.requests for kind in report.kinds.values()) == report.requests
    assert report.cost.before == pytest.approx(sum(each.logged.served.cost for each in replayed))
    # Without its thinking the answer has 300 tokens; nothing of the prompt is cached at another backend.
    there = PRICES["small"].cost(Usage(100, 300))
    here = PRICES["big"].cost(Usage(100, 1_500, 40))
    assert report.cost.before - report.cost.after == pytest.approx(len(moved) * (here - there))
    assert report.latency.before - report.latency.after == pytest.approx(len(moved) * 9.0 / report.requests)
    lost = sum(each.estimate.p_deep - each.estimate.p_fast for each in moved)
    assert report.quality.before - report.quality.after == pytest.approx(lost / report.requests)


BIG, SMALL = Target("big", Effort.MEDIUM, Tier.DEEP), Target("small", Effort.NONE, Tier.FAST)
ELSEWHERE = [
    ("thinking falls away", BIG, SMALL, Tokens(100, 1_500, 40, 1_200), Usage(100, 300)),
    ("thinking that was not told apart", BIG, SMALL, Tokens(100, 1_500, 40), Usage(100, 800)),
    ("thinking longer than the whole answer", BIG, SMALL, Tokens(100, 500), Usage(100, 1)),
    ("thinking begins", SMALL, BIG, Tokens(100, 300, 40), Usage(100, 1_000, 0, 700)),
    ("no answer at all", BIG, SMALL, Tokens(100, 0), Usage(100, 0)),
    (
        "another effort of the same backend",
        BIG,
        Target("big", Effort.HIGH, Tier.DEEP),
        Tokens(100, 900, 40, 600),
        Usage(100, 900, 40, 600),
    ),
    ("another backend that thinks", BIG, Target("huge", None, Tier.DEEP), Tokens(9, 90, 4, 60), Usage(9, 90, 0, 60)),
    (
        "no thinking at the same backend",
        BIG,
        Target("big", Effort.NONE, Tier.FAST),
        Tokens(9, 90, 4, 60),
        Usage(9, 30, 4),
    ),
]
NAMES = [row[0] for row in ELSEWHERE]


@pytest.mark.parametrize(("served", "target", "tokens", "expected"), [row[1:] for row in ELSEWHERE], ids=NAMES)
def test_tokens_elsewhere(served, target, tokens, expected):
    estimate = Estimate(0.5, 0.5, 0.9, Kind.MATHS, 0.5, 700, 0.5, "reflex-v1")
    assert tokens_at(target, served, tokens, estimate) == expected


def test_a_request_whose_tokens_or_price_are_unknown_is_left_out_of_the_cost_on_both_sides(reflex, log):
    never = with_thresholds(reflex, balanced=1.0)
    replayed = list(replay(lines_of(log), never))
    report = summarise(replayed, bundle="reflex-v1", prices={"big": PRICES["big"]})
    assert report.cost.requests == sum(not each.changed for each in replayed)
    assert report.cost.before == pytest.approx(report.cost.after)


def test_latency_is_each_tiers_median(reflex, log):
    report = summarise(replay(lines_of(log), reflex), bundle="reflex-v1", prices=PRICES)
    deep, fast = report.tier_latency["deep"], report.tier_latency["fast"]
    assert (deep.total_s, deep.first_token_s, fast.total_s, fast.first_token_s) == (10.0, 8.0, 1.0, 0.2)


def test_other_judges_are_counted_and_words_are_judged_anew(reflex, tmp_path):
    heuristic = Engine(POLICY, HeuristicModel())
    for content, field in ((False, "judged_by_others"), (True, "judged_anew")):
        log = write_log(tmp_path / f"{content}", heuristic, content=content)
        report = summarise(replay(lines_of(log), reflex), bundle="reflex-v1", prices=PRICES)
        assert getattr(report, field) == report.requests


def test_along_the_curve_fewer_go_deep_for_less(reflex, log):
    curve = draw_curve(lines_of(log), reflex, PRICES)
    assert (curve.points[0].threshold, curve.points[-1].threshold) == (0.0, 1.0)
    shares = [point.deep_share for point in curve.points]
    costs = [point.cost_per_1000 for point in curve.points]
    assert shares == sorted(shares, reverse=True)
    assert costs == sorted(costs, reverse=True)
    assert shares[0] > curve.before.deep_share > shares[-1]
    assert curve.before.deep_share == curve.after.deep_share
    assert curve.points[0].quality > curve.points[-1].quality


def test_the_curves_sample_holds_whole_conversations_and_is_bounded(log):
    sample = Sample(30)
    lines = lines_of(log)
    assert list(sample.watch(lines)) == lines
    assert 0 < len(sample.kept) <= 30
    talks = [logged.conversation for logged in sample.kept]
    assert all(talks.count(talk) == 2 for talk in talks)


@pytest.mark.parametrize("share", [0.2, 0.35, 0.5])
def test_a_threshold_gives_the_share_that_was_asked_for(reflex, share):
    prompts = [Conversation.from_prompt(prompt) for prompt in PROMPTS if "Just the number" not in prompt]
    found = calibrate(prompt_sample(prompts, reflex.model), reflex, "balanced", share)
    engine = with_thresholds(reflex, balanced=found.threshold)
    deep = [engine.decide(RouteRequest("auto", prompt)).tier is Tier.DEEP for prompt in prompts]
    assert found.achieved == pytest.approx(sum(deep) / len(deep))
    assert found.achieved == pytest.approx(share, abs=1.5 / len(prompts))
    assert found.requests == sum(kind.requests for kind in found.kinds.values()) == len(prompts)


@pytest.mark.parametrize("dial", ["cheap", "quality", "max"])
def test_a_notch_that_leans_when_unsure_is_calibrated_with_its_leaning(reflex, dial):
    prompts = [Conversation.from_prompt(prompt) for prompt in PROMPTS if "Just the number" not in prompt]
    found = calibrate(prompt_sample(prompts, reflex.model), reflex, dial, 0.3, [])
    engine = with_thresholds(reflex, **{dial: found.threshold})
    deep = [engine.decide(RouteRequest("auto", prompt, dial=dial)).tier is Tier.DEEP for prompt in prompts]
    assert sum(deep) / len(deep) == pytest.approx(0.3, abs=1.5 / len(prompts))


EXTREMES = [
    (0.0, ["Prove that 7 is prime.", "hi"], 1.0),
    (1.0, ["Prove that 7 is prime.", "Prove that 4k+3 is prime infinitely often."], 0.0),
    (0.1, ["Hello. Think very hard about it."], 1.0),
]


@pytest.mark.parametrize(("share", "prompts", "threshold"), EXTREMES)
def test_where_nothing_more_can_be_won_the_threshold_is_an_end_of_the_scale(reflex, share, prompts, threshold):
    eager = Engine(dataclasses.replace(POLICY, min_gain={}), reflex.model)
    sample = prompt_sample([Conversation.from_prompt(prompt) for prompt in prompts], reflex.model)
    assert calibrate(sample, eager, "balanced", share).threshold == threshold


def test_a_threshold_stands_in_the_middle_between_the_difficulties_that_it_parts(reflex):
    prompts = [Conversation.from_prompt(prompt) for prompt in ("Prove that 7 is prime.", "hi")]
    eager = Engine(dataclasses.replace(POLICY, min_gain={}), reflex.model)
    hard, easy = (reflex.model.estimate(prompt).difficulty for prompt in prompts)
    found = calibrate(prompt_sample(prompts, reflex.model), eager, "balanced", 0.5)
    assert found.threshold == pytest.approx((hard + easy) / 2, abs=1e-3)


def test_a_share_that_cannot_be_had_is_remarked_upon(reflex):
    asked_for = prompt_sample([Conversation.from_prompt("Hello. Think very hard about it.")] * 3, reflex.model)
    found = calibrate(asked_for, reflex, "balanced", 0.1)
    assert found.achieved == 1.0
    assert "asked for in words" in found.notes[0]


def run(*arguments: str | Path, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "thalamus.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "new.yaml").write_text(CONFIG.replace("balanced", "quality"), encoding="utf-8")
    return tmp_path


def test_replay_prints_what_would_change(log, folder, monkeypatch):
    result = run("replay", log, "--policy", "new.yaml", folder=folder, monkeypatch=monkeypatch)
    assert result.exit_code == 0, result.output
    for said in ("fast → deep", "expected right answers", "cost", "mean latency", "$ per 1,000", "because now"):
        assert said in result.stdout


def test_replay_gives_the_whole_report_as_json(log, folder, monkeypatch):
    result = run("replay", log, log, "-p", "new.yaml", "--json", folder=folder, monkeypatch=monkeypatch)
    report = json.loads(result.stdout)
    assert report["requests"] == 4 * len(PROMPTS)
    assert report["changed"] == len(report["changes"]) > 0
    assert {"id", "kind", "before", "after", "reason_before", "reason_after"} == set(report["changes"][0])
    assert report["tiers"]["deep"]["after"] > report["tiers"]["deep"]["before"]
    assert len(report["curve"]["points"]) > 10


@pytest.mark.parametrize("name", ["out.png", "out.svg"])
def test_replay_draws_a_picture(log, folder, monkeypatch, name):
    pytest.importorskip("matplotlib")
    result = run("replay", log, "--picture", name, folder=folder, monkeypatch=monkeypatch)
    assert result.exit_code == 0, result.output
    drawn = (folder / name).read_bytes()
    assert drawn.startswith(b"\x89PNG") or b"<svg" in drawn
    assert len(drawn) > 10_000


def test_without_matplotlib_the_picture_is_refused_before_anything_is_read(folder, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "gateway.replaying.picture.find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    result = run("replay", "no-such-log", "--picture", "out.png", folder=folder, monkeypatch=monkeypatch)
    assert result.exit_code == 2
    assert "pip install 'thalamus-gateway[train]'" in result.stderr


def test_unreadable_lines_are_told_by_number_and_the_others_count(log, folder, monkeypatch):
    lines = log.read_bytes().splitlines()
    (folder / "log").write_bytes(b"\n".join([lines[0], b"{nonsense", b"", b"{}", *lines[1:]]) + b"\n")
    result = run("replay", "log", "--json", folder=folder, monkeypatch=monkeypatch)
    report = json.loads(result.stdout)
    assert (report["requests"], report["unreadable"]) == (len(lines), 2)
    assert "log:2:" in result.stderr
    assert "log:4:" in result.stderr


REFUSED = [
    (["replay", "empty"], "empty"),
    (["replay", "gone"], "No such file"),
    (["replay", "garbage"], "none of 2 lines is a logged decision; the first: garbage:1"),
    (["replay", "log", "--bundle", "none-such"], "there is no bundle 'none-such'"),
    (["replay", "log", "--policy", "gone.yaml"], "no such file"),
    (["replay", "log", "--picture", "out.doc"], ".png"),
    (["calibrate", "empty", "--deep-share", "0.2"], "empty"),
    (["calibrate", "garbage", "--deep-share", "0.2"], "none of 2 lines is a prompt"),
    (["calibrate", "log", "--deep-share", "0.2", "--dial", "loud"], "'loud' is no dial"),
    (["calibrate", "others", "--deep-share", "0.2"], "judged by heuristic, and logged without words"),
    (["calibrate", "log", "--deep-share", "1.2"], "less than or equal to 1"),
    (["calibrate", "log"], "--deep-share: say which share"),
]


@pytest.mark.parametrize(("arguments", "why"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_what_cannot_be_done_is_said_in_a_sentence(log, folder, monkeypatch, arguments, why):
    (folder / "empty").write_bytes(b"\n")
    (folder / "garbage").write_bytes(b"a\nb\n")
    (folder / "log").write_bytes(log.read_bytes())
    write_log(folder / "others", Engine(POLICY, HeuristicModel()), PROMPTS[:2])
    result = run(*arguments, folder=folder, monkeypatch=monkeypatch)
    assert result.exit_code == 2
    assert why in result.stderr
    assert "Traceback" not in result.output


def test_calibrate_on_a_log_prints_the_line_to_paste(log, folder, monkeypatch):
    result = run("calibrate", log, "--deep-share", "0.4", folder=folder, monkeypatch=monkeypatch)
    assert result.exit_code == 0, result.output
    pasted = yaml.safe_load(result.stdout.partition("In thalamus.yaml:\n")[2])
    threshold = pasted["routing"]["thresholds"]["balanced"]
    (folder / "new.yaml").write_text(CONFIG + f"  thresholds: {{balanced: {threshold}}}\n", encoding="utf-8")
    replayed = run("replay", log, "-p", "new.yaml", "--json", folder=folder, monkeypatch=monkeypatch)
    tiers = json.loads(replayed.stdout)["tiers"]
    assert tiers["deep"]["after"] / (2 * len(PROMPTS)) == pytest.approx(0.4, abs=0.02)


def test_calibrate_on_prompts_sets_the_threshold_and_leaves_the_rest_of_the_file(folder, monkeypatch):
    prompts = [{"prompt": prompt} for prompt in PROMPTS[:20]]
    messages = [{"messages": [{"role": "user", "content": prompt}]} for prompt in PROMPTS[20:]]
    written = "\n".join(json.dumps(each, ensure_ascii=False) for each in [*prompts, {"text": "?"}, *messages])
    (folder / "prompts.jsonl").write_text(written, encoding="utf-8")
    arguments = ("calibrate", "prompts.jsonl", "--deep-share", "0.3", "--dial", "cheap", "--write", "--json")
    result = run(*arguments, folder=folder, monkeypatch=monkeypatch)
    found = json.loads(result.stdout)
    assert (found["requests"], found["dial"]) == (len(PROMPTS), "cheap")
    assert "prompts.jsonl:21: has no 'prompt'" in result.stderr
    config = (folder / "thalamus.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(config)["routing"] == {"dial": "balanced", "thresholds": {"cheap": found["threshold"]}}
    assert config.replace(f"  thresholds: {{cheap: {found['threshold']}}}\n", "") == CONFIG


def test_a_dial_that_is_a_share_is_calibrated_to_it_and_keeps_its_word(log, folder, monkeypatch):
    (folder / "thalamus.yaml").write_text(CONFIG.replace("balanced", "0.4"), encoding="utf-8")
    result = run("calibrate", log, "--write", "--json", folder=folder, monkeypatch=monkeypatch)
    found = json.loads(result.stdout)
    assert (found["dial"], found["wanted"]) == ("0.4", 0.4)
    written = (folder / "thalamus.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(written)["routing"]["thresholds"] == {"0.4": found["threshold"]}
    replayed = run("replay", log, "--json", folder=folder, monkeypatch=monkeypatch)
    tiers = json.loads(replayed.stdout)["tiers"]
    assert tiers["deep"]["after"] / (2 * len(PROMPTS)) == pytest.approx(0.4, abs=0.02)
    again = run("calibrate", log, "--deep-share", "0.2", "--json", folder=folder, monkeypatch=monkeypatch)
    assert json.loads(again.stdout)["dial"] == "0.2"


def test_writing_needs_a_file_to_write_to(log, tmp_path, monkeypatch):
    arguments = ("calibrate", log, "--deep-share", "0.3", "--write")
    result = run(*arguments, folder=tmp_path, monkeypatch=monkeypatch)
    assert result.exit_code == 2
    assert "--write: there is no thalamus.yaml" in result.stderr


PLACE = ("routing", "thresholds", "balanced")
EDITS = [
    ("a: 1  # one\n", "a: 1  # one\nrouting: {thresholds: {balanced: 0.4}}\n"),
    ("a: 1\nrouting:\n  # why\n  dial: max\n", "a: 1\nrouting:\n  # why\n  thresholds: {balanced: 0.4}\n  dial: max\n"),
    ("routing: {dial: max}\n", "routing: {thresholds: {balanced: 0.4}, dial: max}\n"),
    ("routing: {}\n", "routing: {thresholds: {balanced: 0.4}}\n"),
    ("routing:\n  thresholds:\n    cheap: 0.5\n", "routing:\n  thresholds:\n    balanced: 0.4\n    cheap: 0.5\n"),
    ("routing:\n  thresholds: {balanced: 0.31} # old\n", "routing:\n  thresholds: {balanced: 0.4} # old\n"),
    ("routing:\r\n  thresholds:\r\n    balanced: .3\r\n", "routing:\r\n  thresholds:\r\n    balanced: 0.4\r\n"),
    ("名: 值\nrouting: {dial: max}\n", "名: 值\nrouting: {thresholds: {balanced: 0.4}, dial: max}\n"),
]


@pytest.mark.parametrize(("before", "after"), EDITS)
def test_one_value_is_set_and_every_other_character_stays(before, after):
    assert with_value(before, PLACE, 0.4) == after


UNEDITABLE = ["", "- a\n", "routing:\n", "routing: [1]\n", "routing: &r {dial: max}\nother: *r\n---\nb: 1\n", "a: [\n"]


@pytest.mark.parametrize("text", UNEDITABLE)
def test_what_cannot_be_edited_safely_is_left_to_the_person(text):
    with pytest.raises(ReplayError, match=r"routing\.thresholds\.balanced: .* by hand"):
        with_value(text, PLACE, 0.4)


def test_a_file_is_replaced_whole_with_its_mode_and_its_links(tmp_path):
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_bytes(b"a: 1\r\n")
    real.chmod(0o640)
    link.symlink_to(real)
    write_value(link, PLACE, 0.4)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert yaml.safe_load(real.read_bytes()) == {"a": 1, "routing": {"thresholds": {"balanced": 0.4}}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yaml", "real.yaml"]


def test_reading_counts_beyond_the_lines_that_it_shows(tmp_path):
    (tmp_path / "p").write_text("x\n" * 40 + '{"prompt": "Hello"}\n', encoding="utf-8")
    unreadable = Unreadable()
    assert [each.turns[0].text for each in read_prompts([tmp_path / "p"], unreadable)] == ["Hello"]
    assert (unreadable.count, len(unreadable.shown)) == (40, 5)
    with pytest.raises(ReplayError, match="none of 41 lines"):
        list(read_decisions([tmp_path / "p"], Unreadable()))
