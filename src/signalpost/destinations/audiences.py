"""What a platform's file declares about audiences: what it knows people by, how to ask, how to read its answers.

All of it is pure: requests are values, answers are read, and a generator that is given a response for each request it
yields is how several requests hang together. Who drives it sends. An identifier is written `kind:digest`, such as
`email:86e0b9e5...`: what a person is added with is remembered in this form and is what they are removed with.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from signalpost.destinations.contract import Request, Response

Use = Literal["include", "exclude"]
"""What an ad group does with an audience: show its ads to them, or to everyone but them."""


class Account(Struct, frozen=True):
    """Where and as whom: a destination's settings as `request_settings` gives them, and the base address."""

    settings: Mapping[str, str]
    base: str


class Held(Struct, frozen=True, kw_only=True):
    """What of an audience is at the platform by now. Nothing of it: `Held()`."""

    id: str = ""
    """The audience, as ads name it."""
    list_id: str = ""
    """Pinterest: the customer list that the audience wraps, which is what takes people."""


class Batch(Struct, frozen=True):
    """People to add or remove with one request, as rows of identifiers: one row, one person.

    A person with several identifiers of one kind, or of kinds that do not go together, has several rows, maybe in
    several batches. So what an answer settles is `keys`, not people.
    """

    adding: bool
    rows: tuple[tuple[str, ...], ...]

    @property
    def keys(self) -> Iterator[str]:
        """Every identifier of the batch."""
        return chain.from_iterable(self.rows)

    @property
    def alone(self) -> bool:
        """Whether there is but one identifier, so that nothing is left to split."""
        return len(self.rows) == 1 and len(self.rows[0]) == 1

    def halves(self) -> tuple[Batch, ...]:
        """Two batches of half the rows; of one row, a batch for each of its identifiers."""
        if len(self.rows) > 1:
            middle = len(self.rows) // 2
            return Batch(self.adding, self.rows[:middle]), Batch(self.adding, self.rows[middle:])
        return tuple(Batch(self.adding, ((key,),)) for key in self.keys)


class Answer(Struct, frozen=True, kw_only=True):
    """What a platform's answer to a change means for all of it.

    `taken`: the platform took it (processing it takes the platform's own time). `retry`: later, after `after` seconds if
    it said so. `split`: refused for something in it; look at the audience once, since that may be what is wrong, and ask
    in `halves`. `refused`: never again as it is. `gone`: the platform no longer has this audience. `foreign`: it has it, but
    it is not this account's. `unauthorised`: these credentials may not do it; nothing of this destination's audiences can.
    """

    kind: Literal["taken", "retry", "split", "refused", "gone", "foreign", "unauthorised"]
    code: str = ""
    """The platform's own code, for support."""
    sentence: str = ""
    """What it means and what to do, for a marketer; never a raw identifier."""
    after: float | None = None
    reached: bool = True
    """False only when the platform surely did not process it."""


class Made(Struct, frozen=True, kw_only=True):
    """A step of making an audience was taken: keep `held` before the next one."""

    held: Held
    complete: bool
    """Whether the audience is made; else ask `make` for the next step with what is held."""
    took: bool
    """Whether the first batch is in with this step."""


class Seen(Struct, frozen=True, kw_only=True):
    """An audience as the platform tells of it."""

    name: str
    status: str
    """The platform's own word."""
    size: int | None
    """People it matched; None while it has not counted or does not say."""
    usable: bool
    """Whether ads can use it at this moment."""
    sentence: str
    """What the status means, for a marketer."""


class Files(Struct, frozen=True, kw_only=True):
    """Changing an audience by files: one upload holds very many people. Audiences made so are changed only so."""

    rows: int
    """Rows a file."""
    paths: int
    """Files a change."""
    cut: Callable[[bool, Iterable[Sequence[str]]], Iterator[Batch]]
    """As `AudiencePart.cut`, for files."""
    upload: Callable[[Account, Batch], Request]
    uploaded: Callable[[Response], str | Answer]
    """The file's path at the platform, with which `make` and `change` name it; or what went wrong."""
    make: Callable[[Account, str, Sequence[str]], Request]
    """(account, title, paths) -> an audience of these files; the answer is read by `AudiencePart.made`."""
    change: Callable[[Account, Held, bool, Sequence[str]], Request]
    """(account, audience, adding, paths) -> the people of these files are added or removed; read by `changed`."""


class AudiencePart(Struct, frozen=True, kw_only=True):
    """A platform's audiences, declared."""

    kinds: tuple[str, ...]
    """The kinds of identifier the platform takes, by the names of the match keys."""
    doc: str
    """What it takes to use audiences here, in sentences: credentials, minimum, pace."""
    batch: int
    """Rows a request."""
    requests_per_second: float
    minimum: int
    """Below this many people ads cannot use it."""
    minimum_is: str
    """What is counted against the minimum."""
    pace: str
    """How long the platform's own processing takes, in words."""
    needs: Callable[[Mapping[str, str]], str]
    """(settings) -> the sentence about what is missing in them; empty when audiences can be kept with them."""
    starts_empty: bool
    """Whether an audience can be made without people; else it waits for the first."""
    keys: Callable[[Mapping[str, Any]], tuple[str, ...]]
    """(`Person.keys`) -> every identifier the platform takes of this person, as `kind:digest`, each once."""
    cut: Callable[[bool, Iterable[Sequence[str]]], Iterator[Batch]]
    """(adding, each person's identifiers) -> batches with all of them, none larger than one request may be."""
    make: Callable[[Account, str, Held, Batch | None], Request]
    """(account, title, what is held by now, the first people) -> the next step of making it."""
    made: Callable[[Response, Held, Batch | None], Made | Answer]
    """(answer, what was held before this step, the first people) -> what is held now, or what went wrong."""
    find: Callable[[Account, str], Generator[Request, Response, Held | Answer]]
    """(account, title) -> what the platform has under this title: for a `make` whose answer was lost. `Held()`: nothing."""
    change: Callable[[Account, Held, Batch], Request]
    changed: Callable[[Response, Batch | None], Answer]
    """(answer, the batch) -> what it means for every identifier of the batch. None: there was no batch (`drop`, `Files`)."""
    look: Callable[[Account, Held], Generator[Request, Response, Seen | Answer]]
    apply: Callable[[Account, Held, Sequence[str], Use, bool], Generator[Request, Response, Answer]]
    """(account, audience, ad groups, use, on) -> the ad groups use it so from now on (`on`), or no longer. May be repeated."""
    users: Callable[[Account, Held], Generator[Request, Response, tuple[tuple[str, Use], ...] | Answer]]
    """The ad groups that use it, and how, where the platform tells."""
    drop: Callable[[Account, Held], Request]
    """Delete the audience; read by `changed`."""
    files: Files | None = None
