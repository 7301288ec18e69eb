"""What `record` makes."""

from dataclasses import field, replace

from assistant.contracts.records import record


@record
class Place:
    name: str
    tags: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    seen: list[int] = field(default_factory=list[int], compare=False)


@record
class Town(Place):
    people: int = 0


@record
class Nothing:
    pass


@record
class Named:
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return self.name


def test_records_are_equal_where_their_fields_are() -> None:
    assert Place(name="a", tags=("x",)) == Place(name="a", tags=("x",))
    assert Place(name="a") != Place(name="b")
    assert Place(name="a", seen=[1]) == Place(name="a", seen=[2])
    assert Town(name="a", people=1) != Town(name="a", people=2)
    assert Nothing() == Nothing()


def test_records_of_two_kinds_are_never_equal() -> None:
    assert Place(name="a") != Town(name="a")
    assert Town(name="a") != Place(name="a")
    assert Place(name="a") != "a"
    assert Nothing() != ()


def test_a_record_is_found_by_its_values() -> None:
    assert {Place(name="a"), Place(name="a"), Town(name="a")} == {Town(name="a"), Place(name="a")}
    assert hash(Nothing()) == hash(Nothing())


def test_a_record_is_shown_without_what_is_not_to_be_shown() -> None:
    assert repr(Town(name="a", secret="pa55", people=3)) == "Town(name='a', tags=(), seen=[], people=3)"
    assert repr(Nothing()) == "Nothing()"


def test_a_record_has_its_fields_alone_and_is_replaced_by_another() -> None:
    town = Town(name="a", tags=("x",))
    assert replace(town, people=2) == Town(name="a", tags=("x",), people=2)
    assert not hasattr(town, "__dict__")
    assert town.seen is not replace(town, seen=[]).seen


def test_what_a_class_says_itself_stays() -> None:
    assert Named(name="Ada") == Named(name="ADA")
    assert len({Named(name="Ada"), Named(name="ADA")}) == 1
    assert repr(Named(name="Ada")) == "Ada"


@record
class Numbered:
    number: int

    def __hash__(self) -> int:
        return self.number % 10


def test_a_class_keeps_its_own_hash() -> None:
    assert hash(Numbered(number=42)) == 2
    assert Numbered(number=42) != Numbered(number=32)
