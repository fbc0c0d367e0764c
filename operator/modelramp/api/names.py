"""
Names and labels of everything the operator creates.
"""

from typing import Final

from modelramp.api.vocabulary import GROUP

FIELD_MANAGER: Final = "modelramp"
LABEL_DEPLOYMENT: Final = f"{GROUP}/deployment"
LABEL_REVISION: Final = f"{GROUP}/revision"
LABEL_ROLE: Final = f"{GROUP}/role"
LABEL_COMPARED: Final = f"{GROUP}/compared"
ANNOTATION_COMPARE: Final = f"{GROUP}/compare"
ANNOTATION_ACTION: Final = f"{GROUP}/action"
ANNOTATION_ABORT: Final = f"{GROUP}/abort"
ANNOTATION_RETRY: Final = f"{GROUP}/retry"
ANNOTATION_RESTART: Final = f"{GROUP}/restart"
ANNOTATION_CONFIG: Final = f"{GROUP}/config"
ANNOTATION_TRAFFIC: Final = f"{GROUP}/traffic"
ANNOTATION_SHARES: Final = f"{GROUP}/shares"
ANNOTATION_HEADER: Final = f"{GROUP}/cohort-header"
FINALIZER_ROUTE: Final = f"{GROUP}/restore-route"
PREVIEW_SUFFIX: Final = "-preview"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"

REVISION_LENGTH: Final = 10  # hexadecimal digits: 2^40 values, so two of a thousand revisions collide with p < 1e-6
CONTENT_LENGTH: Final = 32  # hexadecimal digits: of contents nobody chooses among a few, so 128 bits
POD_BASE_LENGTH: Final = 58  # of a generated name of at most 63 characters without its five random letters
HASH_LENGTH: Final = 10  # of a pod template's hash at most: 32 bits in an alphabet without vowels
MAX_NAME_LENGTH: Final = 48  # with "-" and a revision it stays a DNS label of at most 63 characters, as Services need


def workload_name(deployment: str, revision: str) -> str:
    """
    The name of the Deployment and of the Service of one revision.
    """
    return f"{deployment}-{revision}"


def pod_pattern(deployment: str, revision: str | None = None) -> str:
    """
    A regular expression for the names of a revision's pods; None: of any revision's.

    A pod is named after its ReplicaSet, `NAME-REVISION-HASH`, a dash and five letters. The API server cuts what stands
    before the letters to 58 characters (`MaxGeneratedNameLength` in k8s.io/apiserver/pkg/storage/names), so with a long
    name the last dash, the hash, or the end of the revision may be missing.
    """
    length = REVISION_LENGTH if revision is None else len(revision)
    kept = min(length, POD_BASE_LENGTH - len(deployment) - 1)
    workload = workload_name(deployment, f"[0-9a-f]{{{kept}}}" if revision is None else revision[:kept])
    whole = len(deployment) + 1 + length
    if whole >= POD_BASE_LENGTH:
        return f"{workload}[a-z0-9]+"
    cut = whole + 1 + HASH_LENGTH + 1 > POD_BASE_LENGTH
    return f"{workload}-[a-z0-9]+(-[a-z0-9]+)?" if cut else f"{workload}-[a-z0-9]+-[a-z0-9]+"


COMPARATOR_SUFFIX: Final = "-cmp"  # the longest with which the longest name of a workload stays a DNS label


def comparator_name(deployment: str, revision: str) -> str:
    """
    The name of the Deployment and of the Service of the comparator that stands before one revision.
    """
    return f"{workload_name(deployment, revision)}{COMPARATOR_SUFFIX}"
