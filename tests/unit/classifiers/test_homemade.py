"""The homemade training data: fixed by its seed, well formed, split by whole template, and consistent."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from itertools import pairwise, permutations, product

import pytest

from classifiers.training.homemade import generate, pairs, slices
from classifiers.training.homemade.parallel import LANGUAGES
from classifiers.training.homemade.puzzles import kinship, knights, seating, tracing, zebra
from classifiers.training.homemade.sample import HELD_OUT, expected_thinking
from classifiers.training.homemade.templates import fill, load_topics, read_table, read_turns
from classifiers.types import Kind

EVERYDAY_LANGUAGES = ("es", "de", "fr", "ru", "ja", "pt", "ko", "ar", "hi", "vi")


@pytest.fixture(scope="module")
def records():
    return list(generate())


@pytest.fixture(scope="module")
def slice_records():
    return slices()


@pytest.fixture(scope="module")
def question_groups():
    return list(pairs())


def test_the_same_seed_gives_the_same_records(records):
    assert records == list(generate(0))


def test_another_seed_gives_other_records_of_the_same_templates(records):
    others = list(generate(1))
    assert {record["domain"] for record in others} == {record["domain"] for record in records}
    same = {record["id"] for record in others} & {record["id"] for record in records}
    assert len(same) < 0.5 * len(records)


def test_every_record_has_the_documented_fields(records):
    for record in records:
        assert record["source"].startswith("homemade_")
        assert ("prompt" in record) != ("messages" in record)
        assert Kind(record["kind"])
        assert re.fullmatch("[a-z]{2}", record["language"])
        assert 0.0 <= record["difficulty_num"] <= 1.0
        assert record["split"] in {"train", "validation"}
        assert 0 < record["thinking_tokens"] < 20_000


def test_conversations_have_known_roles_text_and_something_to_answer(records):
    conversations = [record["messages"] for record in records if "messages" in record]
    assert len(conversations) > 1500
    for messages in conversations:
        assert {message["role"] for message in messages} <= {"system", "user", "assistant", "tool"}
        assert all(message["content"] for message in messages)
        assert messages[-1]["role"] in {"user", "tool"}


def test_records_survive_json_and_are_never_the_same_twice(records):
    texts = [json.dumps(record.get("messages") or record["prompt"], ensure_ascii=False) for record in records]
    assert len(set(texts)) == len(records)
    assert len({record["id"] for record in records}) == len(records)


def test_the_split_is_by_whole_template(records):
    splits = defaultdict(set)
    for record in records:
        splits[record["domain"]].add(record["split"])
    assert all(len(split) == 1 for split in splits.values())
    assert {domain for domain, split in splits.items() if split == {"validation"}} == HELD_OUT
    held = sum(record["split"] == "validation" for record in records)
    assert 0.15 < held / len(records) < 0.35


def test_no_pattern_is_shared_by_a_trained_and_a_held_out_topic():
    topics = list(load_topics())
    trained = {line for topic in topics if topic.domain not in HELD_OUT for line in topic.lines}
    held = {line for topic in topics if topic.domain in HELD_OUT for line in topic.lines}
    assert not {line for line in trained & held if "{" not in line}


@pytest.mark.parametrize(
    ("field", "value", "least"),
    [
        *[("kind", kind.value, 400) for kind in Kind],
        *[("language", language, 40) for language in EVERYDAY_LANGUAGES],
        ("language", "en", 4500),
        ("language", "zh", 4500),
    ],
)
def test_there_is_enough_of_every_kind_and_language(records, field, value, least):
    assert sum(record[field] == value for record in records) >= least


def test_there_are_between_8_and_20_thousand_records_of_many_templates(records):
    assert 8_000 <= len(records) <= 20_000
    assert len({record["domain"] for record in records}) > 100
    assert sum(len(topic.lines) for topic in load_topics()) > 900


def test_no_template_decides_by_its_number_of_rows(records):
    counts = Counter(record["domain"] for record in records)
    assert max(counts.values()) < 0.05 * len(records)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_easy_and_hard_questions_exist_in_every_kind_that_can_be_hard(records, language):
    for kind in (Kind.CODING, Kind.KNOWLEDGE, Kind.BUSINESS, Kind.PLANNING, Kind.LOGIC, Kind.MATHS, Kind.AGENTIC):
        labels = [
            record["difficulty_num"] for record in records if record["kind"] == kind and record["language"] == language
        ]
        assert min(labels) < 0.2
        assert max(labels) > 0.45


def test_length_alone_does_not_tell_easy_from_hard(records):
    def median_length(chosen):
        lengths = sorted(len(json.dumps(record.get("messages") or record["prompt"])) for record in chosen)
        return lengths[len(lengths) // 2]

    documents = [record for record in records if record["domain"].startswith("long_")]
    short = [record for record in records if record["domain"].startswith("short_hard")]
    easy_documents = [record for record in documents if record["difficulty_num"] <= 0.1]
    assert median_length(easy_documents) > 5 * median_length(short)
    assert max(record["difficulty_num"] for record in easy_documents) < min(
        record["difficulty_num"] for record in short
    )


@pytest.mark.parametrize(
    "name",
    [
        "arithmetic_",
        "kinship_",
        "zebra_",
        "knights_",
        "seating_",
        "syllogism_",
        "schedule_",
        "tracing_",
        "contest_",
        "plan_rules_",
    ],
)
def test_a_puzzle_room_covers_a_range_of_labels(records, name):
    labels = {record["difficulty_num"] for record in records if record["domain"].startswith(name)}
    assert len(labels) >= 5
    assert max(labels) - min(labels) >= 0.2


def test_a_kinship_chain_is_true_of_its_family():
    rng = random.Random(5)
    names = read_table("kinship.toml")["en"]["names"]
    for _ in range(50):
        people = kinship.family(names, rng)
        facts = kinship.path(rng.choice(people), 5, rng)
        for one, link, other in facts:
            assert (one, link) in list(other.neighbours())
        assert all(earlier[0] is later[2] for earlier, later in pairwise(facts))


def test_a_zebra_puzzle_has_exactly_one_solution():
    words = read_table("zebra.toml")["en"]
    form = {"at": "at {n} {a}", "same": ["same {a} {b}"], "left_of": ["next {a} {b}"], "right_of": ["next {b} {a}"]}
    form["before"] = "before {a} {b}"
    rng = random.Random(3)
    for _ in range(20):
        grid = {name: rng.sample(words["properties"][name], 3) for name in ("drink", "pet", "sport")}
        told = [clue.replace("ginger ale", "ginger_ale").split() for clue in zebra.clues(grid, form, rng)]
        assert len(_solutions(grid, told)) == 1


def _solutions(grid, clues):
    rows = [[value.replace(" ", "_") for value in values] for values in grid.values()]
    found = []
    for orders in product(*(permutations(row) for row in rows)):
        place = {value: index for order in orders for index, value in enumerate(order)}
        if all(_fits(clue, place) for clue in clues):
            found.append(orders)
    return found


def _fits(clue, place):
    what, one, other = clue
    match what:
        case "at":
            return place[other] == int(one) - 1
        case "same":
            return place[one] == place[other]
        case "next":
            return place[other] - place[one] == 1
        case _:
            return place[one] < place[other]


@pytest.mark.parametrize("speakers", [2, 4, 7])
def test_a_liars_puzzle_has_exactly_one_reading(speakers):
    rng = random.Random(speakers)
    for _ in range(20):
        assert len(knights.readings(knights.puzzle(speakers, rng))) == 1


@pytest.mark.parametrize("round_table", [False, True])
def test_seating_clues_leave_exactly_one_arrangement(round_table):
    rng = random.Random(11)
    for seats in (3, 5, 6):
        clues = seating.puzzle(seats, round_table=round_table, rng=rng)
        left = [
            order
            for order in permutations(range(seats))
            if (not round_table or order[0] == 0)
            and all(seating.holds(clue, order, round_table=round_table) for clue in clues)
        ]
        assert len(left) == 1


def test_a_zebra_label_rises_with_the_grid():
    labels = [zebra.difficulty(size, size) for size in range(2, 7)]
    assert labels == sorted(labels)
    assert labels[0] < 0.15
    assert labels[-1] > 0.9


def test_expected_thinking_rises_from_tens_to_thousands_of_tokens():
    assert expected_thinking(0.02, Kind.CHAT) < 80
    assert 3_000 < expected_thinking(0.9, Kind.MATHS) < 10_000


def test_slots_are_filled_repeated_and_kept_apart():
    slots = {"city": ("Oslo", "Lima"), "block": ("{city} stays",)}
    filled = fill("{city}-{=city}-{city}-{3-3}⏎{block}", slots, random.Random(0))
    first, again, other, number = filled.split("\n")[0].split("-")
    assert first == again
    assert {first, other} == {"Oslo", "Lima"}
    assert number == "3"
    assert filled.endswith("\n{city} stays")


def test_an_unknown_slot_is_an_error():
    with pytest.raises(KeyError):
        fill("{nowhere}", {}, random.Random(0))


def test_role_marks_part_a_text_into_turns():
    turns = read_turns("system> Be brief.\nuser> Hi\nassistant> Hello\nuser> a > b?")
    assert [(turn.role, turn.text) for turn in turns] == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "a > b?"),
    ]


def test_a_short_follow_up_has_the_difficulty_of_what_it_refers_to(records):
    by_prompt = {record["prompt"]: record["difficulty_num"] for record in records if "prompt" in record}
    follow_ups = [record for record in records if record["domain"].startswith("dialogue_followup")]
    assert len(follow_ups) > 200
    for record in follow_ups:
        assert record["difficulty_num"] == by_prompt[record["messages"][0]["content"]]
        assert len(record["messages"][-1]["content"]) < 50


def test_question_groups_hold_the_same_question_in_seven_languages(question_groups):
    assert len(question_groups) >= 150
    for group in question_groups:
        assert set(group["texts"]) == set(LANGUAGES)
        assert len(set(group["texts"].values())) == len(LANGUAGES)
        numbers = {tuple(sorted(re.findall(r"\d+", text))) for text in group["texts"].values()}
        assert len(numbers) == 1, group["texts"]["en"]
        assert not any("{" in text for text in group["texts"].values())


def test_a_third_of_the_question_groups_is_held_back_by_template(question_groups):
    splits = defaultdict(set)
    for group in question_groups:
        splits[group["id"].rsplit("-", 1)[0]].add(group["split"])
    assert all(len(split) == 1 for split in splits.values())
    held = sum(split == {"validation"} for split in splits.values())
    assert held == len(splits) // 3
    assert {group["kind"] for group in question_groups if group["split"] == "validation"} >= {
        "chat",
        "maths",
        "coding",
        "logic",
        "knowledge",
        "writing",
    }


def test_question_groups_are_fixed_by_the_seed(question_groups):
    assert question_groups == list(pairs(0))
    assert question_groups != list(pairs(1))


def test_every_slice_is_held_out_and_large_enough(slice_records):
    found = slice_records
    assert {"short_but_hard", "long_but_easy", "agent_turns", "competition_en", "competition_zh"} <= set(found)
    for name in ("everyday_chat_en", "everyday_chat_zh", "competition_en", "competition_zh", "long_but_easy"):
        assert len(found[name]) >= 80
    for chosen in found.values():
        assert len(chosen) >= 15
        assert all(record["split"] == "validation" for record in chosen)


def test_slices_say_what_they_are_called(slice_records):
    found = slice_records
    assert all(record["difficulty_num"] > 0.4 and len(record["prompt"]) < 200 for record in found["short_but_hard"])
    assert all(record["difficulty_num"] <= 0.1 and len(record["prompt"]) > 400 for record in found["long_but_easy"])
    assert all(record["kind"] == "agentic" for record in found["agent_turns"])
    assert all(record["difficulty_num"] <= 0.05 for record in found["everyday_chat_zh"])


def test_a_program_to_be_traced_runs_and_prints_one_number(capsys):
    rng = random.Random(2)
    for _ in range(50):
        code, steps = tracing.program(rng)
        exec(code, {})
        assert re.fullmatch(r"-?\d+\n", capsys.readouterr().out)
        assert 2 <= steps <= 1 + 4 * 18
