"""Logins that carry no user: mounts of any type, approles, AWS principals, Kubernetes service accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rehearsal.doubles.vault.mounts import AUTH, ConfiguredMount, configured_mount
from rehearsal.doubles.vault.settings import Fields, Translation, settings_type
from rehearsal.doubles.vault.tokens import TOKEN_FIELDS, TOKEN_LISTS

if TYPE_CHECKING:
    from rehearsal.doubles.resource import ResourceType
    from rehearsal.doubles.vault.client import Vault

AUTH_BACKEND: Final[ResourceType[Vault]] = configured_mount(
    ConfiguredMount(AUTH, "auth/{path}/config", kind="", fields=Fields({})),
    defaults={},
    provider_only=frozenset({"disableRemount"}),
    required=frozenset({"path", "type"}),
)
APPROLE_ROLE: Final[ResourceType[Vault]] = settings_type(
    "auth/{backend}/role/{roleName}",
    Fields(
        {
            **TOKEN_FIELDS,
            "bindSecretId": True,
            "localSecretIds": False,
            "roleId": "",
            "secretIdBoundCidrs": [],
            "secretIdNumUses": 0,
            "secretIdTtl": 0,
        }
    ),
    unordered=TOKEN_LISTS | {"secretIdBoundCidrs"},
    defaults={"backend": "approle"},
)
AWS_CLIENT: Final[ResourceType[Vault]] = settings_type(
    "auth/{backend}/config/client",
    Fields(
        {
            "accessKey": "",
            "allowedStsHeaderValues": [],
            "ec2Endpoint": "",
            "iamEndpoint": "",
            "iamServerIdHeaderValue": "",
            "maxRetries": -1,
            "roleArn": "",
            "secretKey": "",
            "stsEndpoint": "",
            "stsRegion": "",
            "useStsRegionFromClient": False,
        }
    ),
    secrets=frozenset({"accessKey", "secretKey"}),
    defaults={"backend": "aws"},
)
AWS_LOGIN_ROLE: Final[ResourceType[Vault]] = settings_type(
    "auth/{backend}/role/{role}",
    Fields(
        {
            **TOKEN_FIELDS,
            "authType": "iam",
            "boundAccountIds": [],
            "boundIamPrincipalArns": [],
            "boundIamRoleArns": [],
            "resolveAwsUniqueIds": True,
        },
        {
            "boundAccountIds": Translation("bound_account_id"),
            "boundIamPrincipalArns": Translation("bound_iam_principal_arn"),
            "boundIamRoleArns": Translation("bound_iam_role_arn"),
        },
    ),
    unordered=TOKEN_LISTS | {"boundIamPrincipalArns"},
    defaults={"backend": "aws", "authType": "iam", "resolveAwsUniqueIds": True},
)
KUBERNETES_CONFIG: Final[ResourceType[Vault]] = settings_type(
    "auth/{backend}/config",
    Fields(
        {
            "disableIssValidation": True,
            "disableLocalCaJwt": False,
            "issuer": "",
            "kubernetesCaCert": "",
            "kubernetesHost": "",
            "pemKeys": [],
        }
    ),
    required=frozenset({"kubernetesHost"}),
    defaults={"backend": "kubernetes"},
    equal={"kubernetesCaCert": lambda one, other: str(one).strip() == str(other).strip()},
    deletable=False,
)
KUBERNETES_ROLE: Final[ResourceType[Vault]] = settings_type(
    "auth/{backend}/role/{roleName}",
    Fields(
        {
            **TOKEN_FIELDS,
            "aliasNameSource": "serviceaccount_uid",
            "audience": "",
            "boundServiceAccountNames": [],
            "boundServiceAccountNamespaces": [],
        }
    ),
    required=frozenset({"boundServiceAccountNames"}),
    unordered=TOKEN_LISTS | {"boundServiceAccountNames", "boundServiceAccountNamespaces"},
    defaults={"backend": "kubernetes", "aliasNameSource": "serviceaccount_uid"},
)
