"""
What was last heard of the cluster, in memory. Watch events, answers to our own writes and the periodic list meet here.

Nothing in it is evidence of the present: it may lag behind. It holds nothing that a restart could not list again.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final

from modelramp.adapters.kubernetes.adoptions import Adoptions
from modelramp.adapters.kubernetes.ownership import controller_of
from modelramp.adapters.kubernetes.projection import project, same_but_version
from modelramp.adapters.kubernetes.resources import ROUTERS, Kind
from modelramp.api.names import LABEL_DEPLOYMENT
from modelramp.api.vocabulary import KIND
from modelramp.ports import Document, Key

GRAVES: Final = 4096  # uids remembered as deleted: more than can be deleted while one answer is under way
DELETED: Final = "DELETED"


def key_of(body: Document) -> Key:
    """
    The object's own name.
    """
    return Key(body["metadata"].get("namespace") or "", body["metadata"]["name"])


def _older(version: str, than: str) -> bool:
    """
    Resource versions grow, as integers (stable since Kubernetes 1.35, true of every earlier one); others never compare.
    """
    return version.isdigit() and than.isdigit() and int(version) < int(than)


class _Shelf:
    """
    The objects of one kind, by name and by the `MLModelDeployment` they belong to.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, Document] = {}
        self.children: dict[Key, set[Key]] = {}

    def put(self, document: Document, parent: Key | None) -> None:
        self.take(key_of(document))
        self.objects[key_of(document)] = document
        if parent is not None:
            self.children.setdefault(parent, set()).add(key_of(document))

    def take(self, key: Key) -> None:
        document = self.objects.pop(key, None)
        parent = parent_of(document) if document else None
        if parent is not None and parent in self.children:
            self.children[parent].discard(key)
            if not self.children[parent]:
                del self.children[parent]


def parent_of(body: Document) -> Key | None:
    """
    The `MLModelDeployment` an object says it belongs to, by label or by controller reference; None: to none.
    """
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(LABEL_DEPLOYMENT)
    if name is None:
        reference = controller_of(body)
        name = reference["name"] if reference is not None and reference["kind"] == KIND else None
    return Key(metadata.get("namespace") or "", name) if name else None


class Store:
    """
    Objects as last heard of. Safe to use from several threads; what it returns must not be changed.
    """

    def __init__(self) -> None:
        """
        Begins empty.
        """
        self._lock = Lock()
        self._shelves: Mapping[Kind, _Shelf] = {kind: _Shelf() for kind in Kind}
        self._graves: OrderedDict[str, None] = OrderedDict()
        self._adoptions = Adoptions()

    def get(self, kind: Kind, key: Key) -> Document | None:
        """
        The object of that name; None: none is known.
        """
        with self._lock:
            return self._shelves[kind].objects.get(key)

    def children(self, kind: Kind, parent: Key) -> tuple[Document, ...]:
        """
        The objects that say they belong to the `MLModelDeployment`, by name.
        """
        with self._lock:
            shelf = self._shelves[kind]
            return tuple(shelf.objects[key] for key in sorted(shelf.children.get(parent, ())))

    def keys(self) -> tuple[Key, ...]:
        """
        All known `MLModelDeployment` objects, by name.
        """
        with self._lock:
            return tuple(sorted(self._shelves[Kind.MODEL].objects))

    def marked(self, kind: Kind, namespace: str, annotation: str) -> tuple[Key, ...]:
        """
        The objects of a namespace that carry this annotation of ours, by name.
        """
        with self._lock:
            return tuple(
                sorted(
                    key
                    for key, document in self._shelves[kind].objects.items()
                    if key.namespace == namespace and annotation in (document["metadata"].get("annotations") or {})
                )
            )

    def adopters(self, kind: Kind, route: Key) -> tuple[Key, ...]:
        """
        The `MLModelDeployment` objects that name this route of somebody else's, by name.
        """
        with self._lock:
            return self._adoptions.of(kind, route)

    def heard(self, kind: Kind, change: str | None, body: Document) -> Key | None:
        """
        Take in an event of a watch (`change` None, ADDED, MODIFIED or DELETED), or the answer to a write.

        Returns the `MLModelDeployment` that is to be looked at; None: nothing that matters has changed. Of several that
        share a route it is one; `adopters` tells the others.
        """
        with self._lock:
            if change == DELETED:
                return self._bury(kind, body)
            return self._keep(kind, project(kind, body))

    def forget(self, kind: Kind, key: Key) -> Key | None:
        """
        The object was seen to be gone. Returns the `MLModelDeployment` to be looked at; None: it was not known.
        """
        with self._lock:
            known = self._shelves[kind].objects.get(key)
            return self._bury(kind, known) if known is not None else None

    def replace_all(
        self, kind: Kind, bodies: Iterable[Document], resource_version: str, namespace: str | None = None
    ) -> set[Key]:
        """
        Repair what the watch missed with a whole list of the kind, taken at `resource_version`; `namespace` None: of
        all namespaces.

        Returns the `MLModelDeployment` objects to be looked at. What was heard after the list was taken stays.
        """
        listed = [project(kind, body) for body in bodies]
        names = {key_of(document) for document in listed}
        with self._lock:
            woken = {self._keep(kind, document) for document in listed}
            missed = [
                document
                for key, document in self._shelves[kind].objects.items()
                if key not in names
                and namespace in {None, key.namespace}
                and not _older(resource_version, document["metadata"].get("resourceVersion", ""))
            ]
            woken |= {self._bury(kind, document) for document in missed}
            if kind in ROUTERS and woken - {None}:
                woken |= {key for name in names for key in self._adoptions.of(kind, name)}
        return {key for key in woken if key is not None}

    def _concerns(self, kind: Kind, document: Document) -> Key | None:
        if kind is Kind.MODEL:
            return key_of(document)
        parent = parent_of(document)
        if parent is None and kind in ROUTERS and key_of(document) in self._shelves[Kind.MODEL].objects:
            return key_of(document)  # a stranger's route stands where ours should be
        return parent or next(iter(self._adoptions.of(kind, key_of(document))), None)

    def _keep(self, kind: Kind, document: Document) -> Key | None:
        shelf, key, metadata = self._shelves[kind], key_of(document), document["metadata"]
        if metadata["uid"] in self._graves:
            return None
        known = shelf.objects.get(key)
        if known is not None and known["metadata"]["uid"] == metadata["uid"]:
            if _older(metadata["resourceVersion"], known["metadata"]["resourceVersion"]):
                return None
            if same_but_version(known, document):
                shelf.objects[key] = document
                return None
        elif known is not None:
            self._dig(known["metadata"]["uid"])  # names are unique, so the earlier object must be gone
        shelf.put(document, parent_of(document) if kind is not Kind.MODEL else None)
        if kind is Kind.MODEL:
            self._adoptions.put(key, document)
        return self._concerns(kind, document)

    def _bury(self, kind: Kind, body: Document) -> Key | None:
        shelf, key = self._shelves[kind], key_of(body)
        known = shelf.objects.get(key)
        self._dig(body["metadata"]["uid"])
        if known is None or known["metadata"]["uid"] != body["metadata"]["uid"]:
            return None
        concerned = self._concerns(kind, known)
        shelf.take(key)
        if kind is Kind.MODEL:
            self._adoptions.put(key, None)
        return concerned

    def _dig(self, uid: str) -> None:
        self._graves[uid] = None
        if len(self._graves) > GRAVES:
            self._graves.popitem(last=False)
