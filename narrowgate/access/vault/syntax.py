"""The syntax tree of policy text, built with the same grammar as the server: HCL version 1, or JSON made alike.

Must not know what a policy is. Where the server's parser is lenient (repeated attributes, a JSON object that is not
closed), this one is as lenient, since a policy that the server accepts grants access.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from narrowgate.access.vault.errors import VaultPolicySyntaxError
from narrowgate.access.vault.scanner import Kind, Scanner, Token

_MAX_DEPTH = 100  # far beyond any policy; keeps hostile text from exhausting the stack


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number or boolean; `kind` tells the written form, which decides how it may be used.

    `value` is None for a number that has no value (`08`, or more than 64 bits).
    """

    kind: Kind
    value: str | int | float | bool | None
    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list in brackets."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of an object: one key or more (`path "x"` has two), and what they stand for."""

    keys: tuple[str, ...]
    value: Node
    line: int
    column: int

    def without_first_key(self) -> Item:
        """Return the same entry seen from within its first key."""
        return replace(self, keys=self.keys[1:])


@dataclass(frozen=True, slots=True)
class ObjectNode:
    """An object in braces, or the whole text: entries in the order written, repeated keys included."""

    items: tuple[Item, ...]
    line: int = 0
    column: int = 0

    def entries(self, key: str) -> list[Item]:
        """Return the entries below `key`, each without that first key, as the server's `Filter` does."""
        return [item.without_first_key() for item in self.items if item.keys and item.keys[0] == key]


Node: TypeAlias = Literal | ListNode | ObjectNode

_LITERALS = frozenset({Kind.NUMBER, Kind.FLOAT, Kind.BOOL, Kind.STRING, Kind.HEREDOC})


class _GrammarError(VaultPolicySyntaxError):
    """A token out of place; unlike a malformed token, the server's JSON parser may pass over it."""


class _EndOfTextError(Exception):
    """The text ended where the grammar may stop; the server takes that for the end of the outermost object."""


def parse_tree(text: str, policy: str = "") -> ObjectNode:
    """Return the tree of a policy's text; JSON when its first character is `{`, as on the server.

    Raises VaultPolicySyntaxError with line and column.
    """
    if text.lstrip().startswith("{"):
        return _flatten(_JsonParser(Scanner(text, json=True, policy=policy), policy).parse())
    for number, line in enumerate(text.split("\n"), start=1):
        for char in "\x00\ue123":
            if char in line:
                message = f"character U+{ord(char):04X} is not allowed"
                raise VaultPolicySyntaxError(message, line=number, column=line.index(char) + 1, policy=policy)
    return _HclParser(Scanner(text.replace("\r\n", "\n"), json=False, policy=policy), policy).parse()


@dataclass(slots=True)
class _Parser:
    """What both grammars share: one token of look-ahead, and a bound on depth."""

    scanner: Scanner
    policy: str = ""
    token: Token = field(default_factory=lambda: Token(Kind.EOF, "", "", 0, 0))
    _held: bool = False
    _depth: int = 0

    def scan(self) -> Token:
        if self._held:
            self._held = False
        else:
            self.token = self.scanner.next()
        return self.token

    def unscan(self) -> None:
        self._held = True

    def fail(self, message: str) -> VaultPolicySyntaxError:
        return _GrammarError(message, line=self.token.line, column=self.token.column, policy=self.policy)

    def literal(self) -> Literal:
        token = self.token
        return Literal(token.kind, token.value, token.text, token.line, token.column)

    def descend(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self.fail(f"nested deeper than {_MAX_DEPTH} levels")

    def ascend(self) -> None:
        self._depth -= 1


class _HclParser(_Parser):
    def parse(self) -> ObjectNode:
        return ObjectNode(tuple(self._items(inner=False)))

    def _items(self, *, inner: bool) -> list[Item]:
        items: list[Item] = []
        while True:
            if inner:
                ends = self.scan().kind is Kind.RBRACE
                self.unscan()
                if ends:
                    return items
            try:
                items.append(self._item())
            except _EndOfTextError:
                return items
            if self.scan().kind is not Kind.COMMA:
                self.unscan()

    def _item(self) -> Item:
        keys: list[Token] = []
        while (token := self.scan()).kind in (Kind.IDENT, Kind.STRING):
            keys.append(token)
        if token.kind is Kind.EOF and not keys:
            raise _EndOfTextError
        names = tuple(str(key.value) for key in keys)
        if token.kind is Kind.ASSIGN and len(keys) == 1:
            return Item(names, self._value(), keys[0].line, keys[0].column)
        if token.kind is Kind.LBRACE and keys:
            return Item(names, self._object(), keys[0].line, keys[0].column)
        if not keys:
            raise self.fail(f"expected a key, found {token.kind.value}")
        raise self.fail(f"key {' '.join(names)!r} needs '{{' or '=', found {token.kind.value}")

    def _value(self) -> Node:
        token = self.scan()
        if token.kind in _LITERALS:
            return self.literal()
        if token.kind is Kind.LBRACE:
            return self._object()
        if token.kind is Kind.LBRACK:
            return self._list()
        if token.kind is Kind.EOF:
            raise _EndOfTextError
        raise self.fail(f"expected a value, found {token.kind.value}")

    def _object(self) -> ObjectNode:
        opening = self.token
        self.descend()
        items = self._items(inner=True)
        if self.scan().kind is not Kind.RBRACE:
            raise self.fail(f"expected '}}', found {self.token.kind.value}")
        self.ascend()
        return ObjectNode(tuple(items), opening.line, opening.column)

    def _list(self) -> ListNode:
        opening = self.token
        self.descend()
        items: list[Node] = []
        needs_comma = False
        while (token := self.scan()).kind is not Kind.RBRACK:
            if token.kind is Kind.COMMA:
                needs_comma = False
                continue
            if needs_comma:
                raise self.fail(f"expected ',' or ']' in a list, found {token.kind.value}")
            if token.kind in _LITERALS:
                items.append(self.literal())
            elif token.kind is Kind.LBRACE:
                items.append(self._object())
            elif token.kind is Kind.LBRACK:
                items.append(self._list())
                continue  # the server asks for no comma after a nested list
            else:
                raise self.fail(f"unexpected {token.kind.value} in a list")
            needs_comma = True
        self.ascend()
        return ListNode(tuple(items), opening.line, opening.column)


class _JsonParser(_Parser):
    def parse(self) -> ObjectNode:
        if self.scan().kind is not Kind.LBRACE:
            raise self.fail("expected an object")
        return self._object()

    def _object(self) -> ObjectNode:
        opening = self.token
        self.descend()
        items: list[Item] = []
        try:
            while (item := self._item()) is not None:
                items.append(item)
                if self.scan().kind is not Kind.COMMA:
                    break  # the server does not ask whether that token closes the object
        except _EndOfTextError:
            pass
        except _GrammarError:
            if self.token.kind is not Kind.RBRACE:  # the server lets a closing brace end whatever was open
                raise
        self.ascend()
        return ObjectNode(tuple(items), opening.line, opening.column)

    def _item(self) -> Item | None:
        keys: list[Token] = []
        while (token := self.scan()).kind is Kind.STRING:
            keys.append(token)
        if token.kind is Kind.EOF:
            raise _EndOfTextError
        if token.kind is Kind.RBRACE:
            return None
        if token.kind is not Kind.COLON or not keys:
            raise self.fail(f"expected a string as key, found {token.kind.value}")
        return Item(tuple(str(key.value) for key in keys), self._value(), keys[0].line, keys[0].column)

    def _value(self) -> Node:
        token = self.scan()
        if token.kind in _LITERALS:
            return self.literal()
        if token.kind is Kind.NULL:
            return replace(self.literal(), kind=Kind.STRING)
        if token.kind is Kind.LBRACE:
            return self._object()
        if token.kind is Kind.LBRACK:
            return self._list()
        if token.kind is Kind.EOF:
            raise _EndOfTextError
        raise self.fail(f"expected a value, found {token.kind.value}")

    def _list(self) -> ListNode:
        opening = self.token
        self.descend()
        items: list[Node] = []
        while (token := self.scan()).kind is not Kind.RBRACK:
            if token.kind in (Kind.NUMBER, Kind.FLOAT, Kind.STRING):
                items.append(self.literal())
            elif token.kind is Kind.LBRACE:
                items.append(self._object())
            elif token.kind not in (Kind.COMMA, Kind.BOOL, Kind.LBRACK):
                raise self.fail(f"unexpected {token.kind.value} in a list")
            # The server drops booleans in a JSON list, and reads on inside a nested one.
        self.ascend()
        return ListNode(tuple(items), opening.line, opening.column)


def _flatten(tree: ObjectNode) -> ObjectNode:
    """Turn nested JSON objects into entries with several keys, as HCL writes them."""
    flat = [piece for item in tree.items for piece in _flatten_item(item)]
    return replace(tree, items=tuple(replace(item, value=_flatten_value(item.value)) for item in flat))


def _flatten_item(item: Item) -> list[Item]:
    value = item.value
    if isinstance(value, ObjectNode) and value.items and all(isinstance(i.value, ObjectNode) for i in value.items):
        inner = [replace(sub, keys=item.keys + sub.keys) for sub in value.items]
    elif isinstance(value, ListNode) and value.items and all(isinstance(i, ObjectNode) for i in value.items):
        inner = [replace(item, value=sub, line=sub.line, column=sub.column) for sub in value.items]
    else:
        return [item]
    return [piece for sub in inner for piece in _flatten_item(sub)]


def _flatten_value(value: Node) -> Node:
    if isinstance(value, ObjectNode):
        return _flatten(value)
    if isinstance(value, ListNode):
        return replace(value, items=tuple(_flatten_value(item) for item in value.items))
    return value
