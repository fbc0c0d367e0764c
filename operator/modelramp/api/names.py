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
MANAGED_BY: Final = "app.kubernetes.io/managed-by"

REVISION_LENGTH: Final = 10  # hexadecimal digits: 2^40 values, so two of a thousand revisions collide with p < 1e-6
MAX_NAME_LENGTH: Final = 48  # with "-" and a revision it stays a DNS label of at most 63 characters, as Services need


def workload_name(deployment: str, revision: str) -> str:
    """
    The name of the Deployment and of the Service of one revision.
    """
    return f"{deployment}-{revision}"


COMPARATOR_SUFFIX: Final = "-cmp"  # the longest with which the longest name of a workload stays a DNS label


def comparator_name(deployment: str, revision: str) -> str:
    """
    The name of the Deployment and of the Service of the comparator that stands before one revision.
    """
    return f"{workload_name(deployment, revision)}{COMPARATOR_SUFFIX}"
