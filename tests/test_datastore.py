"""The root that holds the trees."""

from collections.abc import Mapping

import pytest

from datastoresync import Branch, Datastore, DeclarationError, Importer, Object, Tree


class Users(Tree):
    users = Branch(Object, importer=lambda: [{"idnumber": "1", "name": "Ann"}])


class Others(Tree):
    users = Branch(Object, importer=lambda: [{"idnumber": "1", "name": "Anna"}, {"idnumber": "2", "name": "Bob"}])


@pytest.fixture
def store():
    return +Datastore(source=Users(), dest=Others())


def test_a_datastore_is_a_mapping_of_its_trees(store):
    assert isinstance(store, Mapping)
    assert list(store) == ["source", "dest"]
    assert len(store) == 2
    assert store["source"] is store.source
    assert "dest" in store
    assert store.get("nothing") is None
    assert dict(store.items()) == {"source": store.source, "dest": store.dest}
    assert store == store
    assert store != Datastore()
    assert {"source", "dest"} <= set(dir(store))


def test_a_tree_gets_the_name_that_it_has_there(store):
    assert store.dest.name == "dest"
    assert (store.source - store.dest).title == "source - dest"


def test_a_tree_that_is_not_there(store):
    with pytest.raises(AttributeError, match="no tree 'destination': there are source, dest"):
        store.destination
    with pytest.raises(KeyError, match="no tree 'destination': there are source, dest"):
        store["destination"]
    with pytest.raises(AttributeError, match="no tree 'source': there are none"):
        Datastore().source
    assert not hasattr(store, "_private")


def test_loading_imports_every_tree_in_order():
    order = []

    class Recording(Importer):
        def read(self):
            order.append(self.tree.name)
            return []

    trees = {name: Tree(branches={"users": Branch(importer=Recording)}) for name in "cab"}
    store = Datastore(**trees)
    assert +store is store
    assert order == ["c", "a", "b"]


def test_a_tree_that_fails_leaves_it_and_the_later_ones():
    class Failing(Importer):
        def read(self):
            raise OSError("the line was cut")

    store = Datastore(one=Users(), two=Tree(branches={"users": Branch(importer=Failing)}), three=Users())
    with pytest.raises(OSError, match="the line was cut"):
        +store
    assert [len(tree.users) for tree in store.values()] == [1, 0, 0]


def test_a_datastore_grows_from_names():
    store = Datastore(["source", "destination"], ["students", "staff"])
    item = store.new("source", "students", "111", name="Ann")
    assert store.source.students["111"] is item
    assert list(store.destination) == ["students", "staff"]
    with pytest.raises(KeyError, match="no branch 'student' in source: there are students, staff"):
        store.new("source", "student", "111")
    with pytest.raises(KeyError, match="no tree 'sauce'"):
        store.new("sauce", "students", "111")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Datastore("source"), r"grows from two lists: Datastore\(\['source', 'destination'\]"),
        (lambda: Datastore(["source"], "students"), "grows from two lists"),
        (lambda: Datastore(source=Users), r"source is not a tree: write source=Users\(\) \(got"),
        (lambda: Datastore(source=5), r"source is not a tree \(got 5\)"),
        (lambda: Datastore(load=Users()), "'load' cannot be the name of a tree: it is taken, or not an identifier"),
        (lambda: Datastore(["a b"]), "'a b' cannot be the name of a tree"),
        (lambda: Datastore(["a", "a"]), "'a' cannot be the name of a tree"),
        (lambda: Datastore(["a"], ["b", "b"]), "'b' cannot be the name of a branch of a"),
    ],
)
def test_what_cannot_be_a_datastore_is_refused(make, message):
    with pytest.raises(DeclarationError, match=message):
        make()


def test_about_tells_all_that_is_held_under_an_idnumber(store):
    about = store.about("1")
    assert about.held == {"source.users": store.source.users["1"], "dest.users": store.dest.users["1"]}
    (title,) = about.differences
    assert title == "source.users - dest.users"
    assert [action.message for action in about.differences[title]] == [
        "update_name(idnumber='1', attr='name', value='Ann')"
    ]
    shown = repr(about)
    assert "about '1'" in shown
    assert "Object(idnumber='1', name='Ann')" in shown
    assert "~ users 1  name: 'Anna' → 'Ann'" in shown
    assert "Anna" in about._repr_html_()


def test_about_what_only_one_tree_holds(store):
    about = store.about("2")
    assert list(about.held) == ["dest.users"]
    assert [action.verb for action in about.differences["source.users - dest.users"]] == ["old"]


def test_about_nothing(store):
    about = store.about("nobody")
    assert (about.held, about.differences) == ({}, {})
    assert "nothing is held under it" in repr(about)


def test_about_what_cannot_be_compared(store):
    store.dest.users["1"].name = 7
    difference = store.about("1").differences["source.users - dest.users"]
    assert "name: str in source.users and int in dest.users" in difference
    assert "cannot be compared" in repr(store.about("1"))


def test_about_what_is_the_same(store):
    store.dest.users["1"].name = "Ann"
    assert "source.users - dest.users: no differences" in repr(store.about("1"))


def test_about_compares_each_tree_with_the_one_before():
    store = +Datastore(a=Users(), b=Others(), c=Users())
    assert list(store.about("1").differences) == ["a.users - b.users", "b.users - c.users"]


def test_other_operators_are_refused(store):
    for operation in (lambda: store - store, lambda: -store, lambda: store > store, lambda: store | 5):
        with pytest.raises(TypeError):
            operation()


def test_how_a_datastore_looks(store):
    assert repr(store) == "<Datastore: source, dest>"
    assert repr(Datastore()) == "<Datastore: no trees>"
    assert "source" in store.text()
    assert "Ann" in store._repr_html_()
