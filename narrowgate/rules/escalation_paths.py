"""The known ways to turn AWS permissions into more permissions: one table, with its sources.

A path is a set of steps that must all be possible, each in a request of its own. A step names an action, the resource
that it must reach, and what the request's context is: an attacker passes `AdministratorAccess`, sets no permissions
boundary, calls directly rather than through a service. Where a step takes over something that exists, it must reach an
*arbitrary* one, told by a name that no policy spells out: who may update one named function gains that function's role
and no more, which is for that role to be judged by. This module holds data only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SOURCES: Final[Mapping[str, str]] = {
    "rhino": "Rhino Security Labs, AWS IAM Privilege Escalation: Methods and Mitigation",
    "bishopfox": "Bishop Fox, Privilege Escalation in AWS, and the collection iam-vulnerable",
    "pathfinding": "Datadog, pathfinding.cloud: AWS IAM privilege escalation path library",
    "hackingthe.cloud": "hackingthe.cloud, AWS IAM Privilege Escalation Techniques",
    "hacktricks": "HackTricks Cloud, AWS Privilege Escalation",
    "pmapper": "NCC Group, Principal Mapper: edges between principals",
    "prowler": "Prowler, combinations of its check for privilege escalation",
    "cloudsplaining": "Cloudsplaining, its list of ways to escalate",
    "reversec": "Reversec Labs, Another ECS privilege escalation path",
    "aws": "AWS Service Authorization Reference and the services' own documentation of the role that they assume",
}

UNNAMED: Final = "zq7-named-by-no-policy"
"""A resource name that no policy spells out: what reaches it reaches an arbitrary one."""

ANY: Final = ("*",)
PRIVILEGED: Final = (UNNAMED, "Admin", "admin", "Administrator", "AdministratorAccess", "OrganizationAccountAccessRole")
"""An arbitrary role, and names that administrators' roles commonly have."""

ROLE: Final = tuple(f"arn:{{partition}}:iam::{{account}}:role/{name}" for name in PRIVILEGED)
GROUP: Final = tuple(f"arn:{{partition}}:iam::{{account}}:group/{name}" for name in PRIVILEGED)
OTHER_USER: Final = (f"arn:{{partition}}:iam::{{account}}:user/{UNNAMED}",)
SOME_ROLE: Final = ("arn:*:iam::*:role/*",)
SOME_USER: Final = ("arn:*:iam::*:user/*",)
SOME_GROUP: Final = ("arn:*:iam::*:group/*",)
SOME_POLICY: Final = ("arn:*:iam::*:policy/*",)

OUT_OF_REACH: Final = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": ["arn:*:iam::aws:*", '
    '"arn:*:iam::*:role/aws-service-role/*", "arn:*:iam::*:role/aws-reserved/*", "arn:*:iam::*:*:*"]}]}'
)
"""What nobody can change though a policy allows it: AWS's own policies, roles of services; no name has a colon."""


def an_existing(service: str, *kinds: str) -> tuple[str, ...]:
    """Return the ARNs of arbitrary existing resources of `service`: `kinds` are ARN tails with `{}` for the name."""
    return tuple(f"arn:{{partition}}:{service}:{{region}}:{{account}}:{kind.format(UNNAMED)}" for kind in kinds)


Context = Mapping[str, str | None]
"""What a request's context keys (lower case) are; None where a key is missing."""

NO_BOUNDARY: Final[Context] = {"iam:permissionsboundary": None}
ADMIN_POLICIES: Final[tuple[Context, ...]] = tuple(
    {"iam:policyarn": arn, "iam:permissionsboundary": None}
    for arn in (
        "arn:aws:iam::aws:policy/AdministratorAccess",
        "arn:aws:iam::aws:policy/IAMFullAccess",
        f"arn:aws:iam::111122223333:policy/{UNNAMED}",
    )
)


@dataclass(frozen=True, slots=True)
class Step:
    """One request that the path needs: `action` on one of `resources`, in one of `contexts`.

    `resources` are patterns, with `{partition}`, `{region}` and `{account}` to be filled in; `ANY` is any that the
    action acts on, by AWS's reference.
    """

    action: str
    resources: tuple[str, ...] = ANY
    contexts: tuple[Context, ...] = ({},)


@dataclass(frozen=True, slots=True)
class Path:
    """One way to escalate: all `steps` together give what `gain` says."""

    name: str
    gain: str
    steps: tuple[Step, ...]
    sources: tuple[str, ...]


_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {"ec2:RunInstances": ("arn:*:ec2:*:*:instance/*",)}
"""The resource that an action can't do without, where it takes several and allowing only the others allows nothing."""


def _pass_role(service: str) -> Step:
    return Step("iam:PassRole", ROLE, ({"iam:passedtoservice": service},))


def _with_role(service: str, gain: str, *alternatives: str, sources: str) -> tuple[Path, ...]:
    """Return a path for each of `alternatives` (actions joined by ` + `) that passes any role to `service`."""
    return tuple(
        Path(
            f"iam:PassRole + {actions}",
            gain,
            (_pass_role(service), *(Step(action, _NEEDED.get(action, ANY)) for action in actions.split(" + "))),
            tuple(sources.split()),
        )
        for actions in alternatives
    )


def _takes_over(gain: str, resources: tuple[str, ...], *alternatives: str, sources: str) -> tuple[Path, ...]:
    """Return a path for each of `alternatives` that uses an arbitrary existing thing and the role which that has."""
    return tuple(
        Path(actions, gain, tuple(Step(action, resources) for action in actions.split(" + ")), tuple(sources.split()))
        for actions in alternatives
    )


_IAM: Final = (
    Path(
        "iam:CreatePolicyVersion",
        "rewrites a policy that the identity itself has",
        (Step("iam:CreatePolicyVersion", SOME_POLICY, (NO_BOUNDARY,)),),
        ("rhino", "bishopfox", "pathfinding"),
    ),
    Path(
        "iam:SetDefaultPolicyVersion",
        "brings back an older, wider version of a policy",
        (Step("iam:SetDefaultPolicyVersion", SOME_POLICY, (NO_BOUNDARY,)),),
        ("rhino", "bishopfox"),
    ),
    *(
        Path(
            f"iam:Attach{kind}Policy",
            f"attaches AdministratorAccess to a {kind.lower()}",
            (Step(f"iam:Attach{kind}Policy", resources, ADMIN_POLICIES),),
            ("rhino", "bishopfox", "pathfinding"),
        )
        for kind, resources in (("User", SOME_USER), ("Group", SOME_GROUP), ("Role", SOME_ROLE))
    ),
    *(
        Path(
            f"iam:Put{kind}Policy",
            f"writes an administrator's policy into a {kind.lower()}",
            (Step(f"iam:Put{kind}Policy", resources, (NO_BOUNDARY,)),),
            ("rhino", "bishopfox", "pathfinding"),
        )
        for kind, resources in (("User", SOME_USER), ("Group", SOME_GROUP), ("Role", SOME_ROLE))
    ),
    Path(
        "iam:AddUserToGroup",
        "joins the administrators' group",
        (Step("iam:AddUserToGroup", GROUP, (NO_BOUNDARY,)),),
        ("rhino", "bishopfox", "pathfinding"),
    ),
    Path(
        "iam:UpdateAssumeRolePolicy",
        "lets itself assume any role",
        (Step("iam:UpdateAssumeRolePolicy", ROLE, (NO_BOUNDARY,)),),
        ("rhino", "bishopfox", "pathfinding"),
    ),
    *(
        Path(action, gain, (Step(action, OTHER_USER, (NO_BOUNDARY,)),), tuple(sources.split()))
        for action, gain, sources in (
            ("iam:CreateAccessKey", "makes itself keys of any user", "rhino bishopfox pathfinding"),
            ("iam:CreateLoginProfile", "sets a password for any user without one", "rhino bishopfox pathfinding"),
            ("iam:UpdateLoginProfile", "changes any user's password", "rhino bishopfox pathfinding"),
            ("iam:CreateServiceSpecificCredential", "makes itself a service's credentials of any user", "hacktricks"),
            ("iam:ResetServiceSpecificCredential", "makes itself a service's credentials of any user", "hacktricks"),
            ("iam:UploadSSHPublicKey", "puts its own SSH key to any user", "hacktricks"),
        )
    ),
    Path(
        "iam:DeleteRolePermissionsBoundary",
        "removes the boundary that confines it",
        (Step("iam:DeleteRolePermissionsBoundary", SOME_ROLE, (NO_BOUNDARY,)),),
        ("hacktricks", "aws"),
    ),
    Path(
        "iam:DeleteUserPermissionsBoundary",
        "removes the boundary that confines it",
        (Step("iam:DeleteUserPermissionsBoundary", SOME_USER, (NO_BOUNDARY,)),),
        ("hacktricks", "aws"),
    ),
    *(
        Path(
            action,
            "makes the account trust an identity provider of its own",
            (Step(action, (f"arn:{{partition}}:iam::{{account}}:{kind}/{UNNAMED}",)),),
            ("hacktricks",),
        )
        for action, kind in (
            ("iam:UpdateSAMLProvider", "saml-provider"),
            ("iam:UpdateOpenIDConnectProviderThumbprint", "oidc-provider"),
        )
    ),
    Path("sts:AssumeRole", "assumes any role that trusts the account", (Step("sts:AssumeRole", ROLE),), ("bishopfox",)),
)

_COMPUTE: Final = (
    *_with_role(
        "ec2.amazonaws.com",
        "reads any role's credentials on a machine of its own",
        "ec2:RunInstances",
        "ec2:RequestSpotInstances",
        "ec2:RequestSpotFleet",
        "ec2:CreateFleet + ec2:CreateLaunchTemplate",
        "ec2:AssociateIamInstanceProfile",
        "ec2:ReplaceIamInstanceProfileAssociation",
        "autoscaling:CreateLaunchConfiguration + autoscaling:CreateAutoScalingGroup",
        "autoscaling:CreateLaunchConfiguration + autoscaling:UpdateAutoScalingGroup",
        "ec2:CreateLaunchTemplate + autoscaling:CreateAutoScalingGroup",
        sources="rhino bishopfox pathfinding prowler pmapper hacktricks",
    ),
    *_with_role(
        "lambda.amazonaws.com",
        "runs its own code with any role",
        "lambda:CreateFunction + lambda:InvokeFunction",
        "lambda:CreateFunction + lambda:InvokeAsync",
        "lambda:CreateFunction + lambda:CreateEventSourceMapping",
        "lambda:CreateFunction + lambda:AddPermission",
        "lambda:CreateFunction + lambda:CreateFunctionUrlConfig",
        "lambda:CreateFunction + events:PutRule + events:PutTargets",
        sources="rhino bishopfox pathfinding",
    ),
    *_with_role(
        "ecs-tasks.amazonaws.com",
        "runs its own container with any role",
        "ecs:RegisterTaskDefinition + ecs:RunTask",
        "ecs:RegisterTaskDefinition + ecs:StartTask",
        "ecs:RegisterTaskDefinition + ecs:CreateService",
        "ecs:RegisterTaskDefinition + ecs:UpdateService",
        "ecs:RunTask",
        "ecs:StartTask",
        sources="bishopfox pathfinding prowler reversec",
    ),
    *_with_role(
        "codebuild.amazonaws.com",
        "runs its own build with any role",
        "codebuild:CreateProject + codebuild:StartBuild",
        "codebuild:CreateProject + codebuild:StartBuildBatch",
        "codebuild:UpdateProject + codebuild:StartBuild",
        sources="bishopfox pathfinding hacktricks",
    ),
    *_with_role(
        "glue.amazonaws.com",
        "runs its own code with any role",
        "glue:CreateDevEndpoint",
        "glue:CreateJob + glue:StartJobRun",
        "glue:CreateJob + glue:CreateTrigger",
        "glue:UpdateJob + glue:StartJobRun",
        "glue:UpdateJob + glue:CreateTrigger",
        "glue:CreateSession + glue:RunStatement",
        sources="rhino bishopfox pathfinding",
    ),
    *_with_role(
        "sagemaker.amazonaws.com",
        "runs its own code with any role",
        "sagemaker:CreateNotebookInstance",
        "sagemaker:CreateTrainingJob",
        "sagemaker:CreateProcessingJob",
        "sagemaker:CreateHyperParameterTuningJob",
        "sagemaker:CreateModel + sagemaker:CreateEndpointConfig + sagemaker:CreateEndpoint",
        "sagemaker:CreateModel + sagemaker:CreateTransformJob",
        "sagemaker:CreateDomain + sagemaker:CreatePresignedDomainUrl",
        "sagemaker:CreateUserProfile + sagemaker:CreatePresignedDomainUrl",
        "sagemaker:CreatePipeline + sagemaker:StartPipelineExecution",
        sources="bishopfox pathfinding hacktricks",
    ),
    *_with_role(
        "bedrock-agentcore.amazonaws.com",
        "runs its own code with any role",
        "bedrock-agentcore:CreateCodeInterpreter + bedrock-agentcore:InvokeCodeInterpreter",
        "bedrock-agentcore:CreateAgentRuntime + bedrock-agentcore:InvokeAgentRuntime",
        "bedrock-agentcore:CreateAgentRuntime + bedrock-agentcore:InvokeAgentRuntimeCommand",
        "bedrock-agentcore:CreateHarness + bedrock-agentcore:InvokeHarness",
        "bedrock-agentcore:CreateBrowser + bedrock-agentcore:StartBrowserSession",
        sources="pathfinding",
    ),
    *_with_role(
        "tasks.apprunner.amazonaws.com",
        "runs its own container with any role",
        "apprunner:CreateService",
        sources="pathfinding",
    ),
    *_with_role(
        "ecs-tasks.amazonaws.com",
        "runs its own container with any role",
        "batch:RegisterJobDefinition + batch:SubmitJob",
        sources="pathfinding hacktricks",
    ),
    *_with_role(
        "elasticmapreduce.amazonaws.com",
        "runs its own code on a cluster with any role",
        "elasticmapreduce:RunJobFlow",
        sources="pathfinding hacktricks",
    ),
    *_with_role(
        "emr-serverless.amazonaws.com",
        "runs its own job with any role",
        "emr-serverless:CreateApplication + emr-serverless:StartJobRun",
        sources="pathfinding",
    ),
    *_with_role("braket.amazonaws.com", "runs its own job with any role", "braket:CreateJob", sources="pathfinding"),
    *_with_role(
        "gamelift.amazonaws.com",
        "runs its own build with any role",
        "gamelift:CreateBuild + gamelift:CreateFleet",
        sources="pathfinding",
    ),
    *_with_role(
        "kinesisanalytics.amazonaws.com",
        "runs its own application with any role",
        "kinesisanalytics:CreateApplication + kinesisanalytics:StartApplication",
        sources="pathfinding",
    ),
    *_with_role(
        "omics.amazonaws.com",
        "runs its own workflow with any role",
        "omics:CreateWorkflow + omics:StartRun",
        sources="pathfinding",
    ),
    *_with_role(
        "amplify.amazonaws.com",
        "runs its own build with any role",
        "amplify:CreateApp + amplify:CreateBranch + amplify:StartJob",
        sources="pathfinding",
    ),
    *_with_role(
        "airflow.amazonaws.com", "runs its own code with any role", "airflow:CreateEnvironment", sources="hacktricks"
    ),
    *_with_role(
        "ec2.amazonaws.com",
        "runs its own component on a machine with any role",
        "imagebuilder:CreateComponent + imagebuilder:CreateImageRecipe + imagebuilder:CreateInfrastructureConfiguration"
        " + imagebuilder:CreateImage",
        "elasticbeanstalk:CreateEnvironment + elasticbeanstalk:CreateApplicationVersion",
        sources="pathfinding hacktricks",
    ),
    *_with_role("eks.amazonaws.com", "runs its own nodes with any role", "eks:CreateNodegroup", sources="hacktricks"),
    *_with_role(
        "ssm.amazonaws.com",
        "registers a machine of its own that gets any role's credentials",
        "ssm:CreateActivation",
        sources="hacktricks aws",
    ),
    *_with_role(
        "pods.eks.amazonaws.com",
        "gives a pod of its own any role",
        "eks:CreatePodIdentityAssociation",
        sources="hacktricks",
    ),
)

_ORCHESTRATION: Final = (
    *_with_role(
        "cloudformation.amazonaws.com",
        "lets a template make anything with any role",
        "cloudformation:CreateStack",
        "cloudformation:UpdateStack",
        "cloudformation:CreateStackSet + cloudformation:CreateStackInstances",
        "cloudformation:UpdateStackSet",
        "cloudformation:CreateChangeSet + cloudformation:ExecuteChangeSet",
        sources="rhino bishopfox pathfinding",
    ),
    *_with_role(
        "datapipeline.amazonaws.com",
        "runs its own commands with any role",
        "datapipeline:CreatePipeline",
        sources="rhino bishopfox pathfinding cloudsplaining",
    ),
    *_with_role(
        "states.amazonaws.com",
        "calls any API with any role",
        "states:CreateStateMachine + states:StartExecution",
        "states:UpdateStateMachine + states:StartExecution",
        "states:CreateStateMachine + events:PutRule + events:PutTargets",
        sources="hacktricks",
    ),
    *_with_role(
        "scheduler.amazonaws.com", "calls any API with any role", "scheduler:CreateSchedule", sources="hacktricks aws"
    ),
    Path(
        "iam:PassRole + ssm:StartAutomationExecution",
        "calls any API with any role",
        (
            _pass_role("ssm.amazonaws.com"),
            Step(
                "ssm:StartAutomationExecution",
                an_existing("ssm", "automation-definition/{}:$DEFAULT", "automation-definition/{}:1", "document/{}"),
            ),
        ),
        ("hacktricks", "aws"),
    ),
    *_with_role(
        "codepipeline.amazonaws.com",
        "lets a pipeline make anything with any role",
        "codepipeline:CreatePipeline + codepipeline:StartPipelineExecution",
        sources="hacktricks",
    ),
    *_with_role(
        "codestar.amazonaws.com",
        "makes itself owner of a project with any role",
        "codestar:CreateProject",
        sources="rhino prowler",
    ),
    *_with_role(
        "codedeploy.amazonaws.com",
        "runs its own scripts with any role",
        "codedeploy:CreateDeploymentGroup + codedeploy:CreateDeployment",
        sources="hacktricks",
    ),
    Path(
        "codestar:CreateProjectFromTemplate",
        "makes a project whose worker role it may use",
        (Step("codestar:CreateProjectFromTemplate"),),
        ("rhino",),
    ),
    Path(
        "codestar:CreateProject + codestar:AssociateTeamMember",
        "makes itself owner of a project",
        (Step("codestar:CreateProject"), Step("codestar:AssociateTeamMember")),
        ("rhino",),
    ),
    Path(
        "iam:PassRole + cognito-identity:SetIdentityPoolRoles",
        "makes anybody's visit to an identity pool assume any role",
        (_pass_role("cognito-identity.amazonaws.com"), Step("cognito-identity:SetIdentityPoolRoles")),
        ("pathfinding", "hacktricks"),
    ),
    *_with_role(
        "credentials.iot.amazonaws.com",
        "gets any role's credentials as a device of its own",
        "iot:CreateRoleAlias + iot:CreateKeysAndCertificate + iot:AttachPolicy",
        sources="aws",
    ),
    *_with_role(
        "events.amazonaws.com",
        "runs its own commands or containers with any role when an event comes",
        "events:PutRule + events:PutTargets",
        sources="aws",
    ),
    *_with_role(
        "pipes.amazonaws.com", "runs its own containers with any role for each event", "pipes:CreatePipe", sources="aws"
    ),
    *_with_role(
        "appsync.amazonaws.com",
        "calls any API with any role",
        "appsync:CreateDataSource + appsync:CreateResolver",
        sources="aws",
    ),
    *_with_role(
        "servicecatalog.amazonaws.com",
        "lets a template make anything with any role",
        "servicecatalog:CreateProduct + servicecatalog:CreateConstraint + servicecatalog:ProvisionProduct",
        sources="aws",
    ),
    *_with_role(
        "budgets.amazonaws.com",
        "attaches a policy to anybody by a budget's action, with any role",
        "budgets:CreateBudgetAction + budgets:ExecuteBudgetAction",
        sources="aws",
    ),
    *_with_role(
        "transfer.amazonaws.com",
        "logs in to a file server with any role's data",
        "transfer:CreateUser",
        sources="aws",
    ),
    Path(
        "iam:PassRole + rolesanywhere:CreateTrustAnchor + rolesanywhere:CreateProfile",
        "assumes any role with a certificate of its own",
        (
            _pass_role("rolesanywhere.amazonaws.com"),
            Step("rolesanywhere:CreateTrustAnchor"),
            Step("rolesanywhere:CreateProfile"),
        ),
        ("hacktricks",),
    ),
)

_INSTANCE: Final = an_existing("ec2", "instance/i-{}")

_ANY_COMMAND: Final = tuple(
    f"arn:{{partition}}:ssm:{{region}}:{account}:document/{name}"
    for account, name in (("", "AWS-RunShellScript"), ("", "AWS-RunPowerShellScript"), ("{account}", UNNAMED))
)
"""Documents that run whatever the caller says; others run what they are made for."""

_TAKE_OVER: Final = (
    *(
        Path(
            action,
            "runs its own commands on any machine, with its role",
            (Step(action, _ANY_COMMAND), Step(action, _INSTANCE)),
            tuple(sources.split()),
        )
        for action, sources in (
            ("ssm:SendCommand", "bishopfox pathfinding"),
            ("ssm:CreateAssociation", "hacktricks"),
        )
    ),
    *_takes_over(
        "runs its own code in any function, with the function's role",
        an_existing("lambda", "function:{}"),
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
        sources="rhino bishopfox pathfinding",
    ),
    *_takes_over(
        "logs in to any development endpoint, with its role",
        an_existing("glue", "devEndpoint/{}"),
        "glue:UpdateDevEndpoint",
        sources="rhino bishopfox pathfinding",
    ),
    *_takes_over(
        "opens any notebook, with its role",
        an_existing("sagemaker", "notebook-instance/{}"),
        "sagemaker:CreatePresignedNotebookInstanceUrl",
        sources="bishopfox pathfinding",
    ),
    *_takes_over(
        "logs in to a file server as any user, with the user's role",
        an_existing("transfer", "user/s-1/{}"),
        "transfer:ImportSshPublicKey",
        sources="aws",
    ),
    *_takes_over(
        "opens any user's studio, with its role",
        an_existing("sagemaker", "user-profile/d-1/{}"),
        "sagemaker:CreatePresignedDomainUrl",
        sources="hacktricks",
    ),
    Path(
        "sagemaker:CreateNotebookInstanceLifecycleConfig + sagemaker:UpdateNotebookInstance"
        " + sagemaker:StartNotebookInstance",
        "runs its own script in any notebook, with its role",
        (
            Step("sagemaker:CreateNotebookInstanceLifecycleConfig"),
            Step("sagemaker:UpdateNotebookInstance", an_existing("sagemaker", "notebook-instance/{}")),
            Step("sagemaker:StartNotebookInstance", an_existing("sagemaker", "notebook-instance/{}")),
        ),
        ("pathfinding",),
    ),
    *_takes_over(
        "runs its own commands on any machine, with its role",
        _INSTANCE,
        "ssm:StartSession",
        "ec2-instance-connect:SendSSHPublicKey",
        "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
        "ec2:ModifyInstanceAttribute + ec2:StopInstances + ec2:StartInstances",
        sources="bishopfox pathfinding hacktricks",
    ),
    *_takes_over(
        "runs its own commands on any machine that starts next, with its role",
        an_existing("ec2", "launch-template/{}"),
        "ec2:CreateLaunchTemplateVersion + ec2:ModifyLaunchTemplate",
        sources="pathfinding prowler",
    ),
    *_takes_over(
        "changes any stack, with the stack's role",
        an_existing("cloudformation", "stack/{}/1"),
        "cloudformation:UpdateStack",
        "cloudformation:CreateChangeSet + cloudformation:ExecuteChangeSet",
        sources="bishopfox pathfinding",
    ),
    *_takes_over(
        "runs its own commands in any project's build, with its role",
        an_existing("codebuild", "project/{}"),
        "codebuild:StartBuild",
        "codebuild:StartBuildBatch",
        sources="pathfinding prowler",
    ),
    Path(
        "ecs:ExecuteCommand",
        "runs its own commands in any container, with its role",
        # An arbitrary container bears no name that a policy asks for either.
        (Step("ecs:ExecuteCommand", an_existing("ecs", "task/c/{}"), ({"ecs:container-name": UNNAMED},)),),
        ("pathfinding", "prowler"),
    ),
    *_takes_over(
        "runs its own container in any service, with its role",
        an_existing("apprunner", "service/{}/1"),
        "apprunner:UpdateService",
        sources="pathfinding",
    ),
    *_takes_over(
        "runs its own command in any job, with its role",
        an_existing("batch", "job-definition/{}"),
        "batch:SubmitJob",
        sources="pathfinding",
    ),
    Path(
        "bedrock-agentcore:StartCodeInterpreterSession + bedrock-agentcore:InvokeCodeInterpreter",
        "runs its own code in any interpreter, with its role",
        tuple(
            Step(
                f"bedrock-agentcore:{action}",
                an_existing("bedrock-agentcore", "code-interpreter-custom/{}", "code-interpreter/{}"),
            )
            for action in ("StartCodeInterpreterSession", "InvokeCodeInterpreter")
        ),
        ("pathfinding", "prowler"),
    ),
    *_takes_over(
        "opens any agent's browser, with its role",
        an_existing("bedrock-agentcore", "browser-custom/{}", "browser/{}"),
        "bedrock-agentcore:StartBrowserSession + bedrock-agentcore:ConnectBrowserAutomationStream",
        sources="pathfinding prowler",
    ),
    Path(
        "codedeploy:CreateDeployment + codedeploy:RegisterApplicationRevision + codedeploy:GetDeploymentConfig",
        "runs its own scripts on any fleet that is deployed to, with its role",
        (
            Step("codedeploy:CreateDeployment", an_existing("codedeploy", "deploymentgroup:{0}/{0}")),
            Step("codedeploy:RegisterApplicationRevision", an_existing("codedeploy", "application:{}")),
            Step("codedeploy:GetDeploymentConfig"),
        ),
        ("pathfinding", "prowler"),
    ),
    *_takes_over(
        "runs its own commands in any agent's runtime, with its role",
        an_existing("bedrock-agentcore", "runtime/{}"),
        "bedrock-agentcore:InvokeAgentRuntimeCommand",
        sources="pathfinding",
    ),
    *_takes_over(
        "calls any API with any state machine's role",
        an_existing("states", "stateMachine:{}"),
        "states:UpdateStateMachine + states:StartExecution",
        sources="hacktricks",
    ),
    *_takes_over(
        "runs its own code in any workflow environment, with its role",
        an_existing("airflow", "role/{}/Admin"),
        "airflow:CreateWebLoginToken",
        sources="hacktricks",
    ),
)

_DIRECTORY: Final = tuple(
    Path(actions, gain, tuple(Step(action) for action in actions.split(" + ")), ("hacktricks", "aws"))
    for actions, gain in (
        ("sso:PutInlinePolicyToPermissionSet", "writes an administrator's policy into a permission set"),
        ("sso:AttachManagedPolicyToPermissionSet", "attaches AdministratorAccess to a permission set"),
        (
            "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
            "attaches an administrator's policy to a permission set",
        ),
        ("sso:CreateAccountAssignment", "assigns itself the administrators' permission set"),
        ("identitystore:CreateGroupMembership", "joins the administrators' group of the directory"),
    )
)

_CLUSTER: Final = (
    Path(
        "eks:CreateAccessEntry + eks:AssociateAccessPolicy",
        "makes itself administrator of any cluster, and so of its pods' roles",
        (
            Step("eks:CreateAccessEntry", an_existing("eks", "cluster/{}")),
            Step(
                "eks:AssociateAccessPolicy",
                an_existing("eks", "access-entry/{}/role/111122223333/r/1"),
                ({"eks:policyarn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"},),
            ),
        ),
        ("hacktricks",),
    ),
)

PATHS: Final[tuple[Path, ...]] = (*_IAM, *_COMPUTE, *_ORCHESTRATION, *_TAKE_OVER, *_DIRECTORY, *_CLUSTER)

ACTIONS: Final[tuple[str, ...]] = tuple(dict.fromkeys(step.action for path in PATHS for step in path.steps))
"""Every action of any path: an identity that may do none of them has no path."""
