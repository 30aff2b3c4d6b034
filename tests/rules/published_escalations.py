"""Published ways to escalate in AWS IAM, as sets of actions; written from the collections, apart from our own table.

Each source's list stands by itself, so that the table in the product is tested against what others say.
"""

from __future__ import annotations

# Bishop Fox, iam-vulnerable: its 31 paths, each as the actions that its policy grants.
IAM_VULNERABLE: dict[str, tuple[str, ...]] = {
    "1-CreateNewPolicyVersion": ("iam:CreatePolicyVersion",),
    "2-SetExistingDefaultPolicyVersion": ("iam:SetDefaultPolicyVersion",),
    "3-CreateEC2WithExistingIP": ("iam:PassRole", "ec2:RunInstances"),
    "4-CreateAccessKey": ("iam:CreateAccessKey",),
    "5-CreateLoginProfile": ("iam:CreateLoginProfile",),
    "6-UpdateLoginProfile": ("iam:UpdateLoginProfile",),
    "7-AttachUserPolicy": ("iam:AttachUserPolicy",),
    "8-AttachGroupPolicy": ("iam:AttachGroupPolicy",),
    "9-AttachRolePolicy": ("iam:AttachRolePolicy", "sts:AssumeRole"),
    "10-PutUserPolicy": ("iam:PutUserPolicy",),
    "11-PutGroupPolicy": ("iam:PutGroupPolicy",),
    "12-PutRolePolicy": ("iam:PutRolePolicy", "sts:AssumeRole"),
    "13-AddUserToGroup": ("iam:AddUserToGroup",),
    "14-UpdatingAssumeRolePolicy": ("iam:UpdateAssumeRolePolicy", "sts:AssumeRole"),
    "15-PassExistingRoleToNewLambdaThenInvoke": ("iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"),
    "16-PassRoleToNewLambdaThenTrigger": (
        "iam:PassRole",
        "lambda:CreateFunction",
        "lambda:CreateEventSourceMapping",
        "dynamodb:CreateTable",
        "dynamodb:PutItem",
    ),
    "17-EditExistingLambdaFunctionWithRole": ("lambda:UpdateFunctionCode",),
    "18-PassExistingRoleToNewGlueDevEndpoint": ("iam:PassRole", "glue:CreateDevEndpoint"),
    "19-UpdateExistingGlueDevEndpoint": ("glue:UpdateDevEndpoint",),
    "20-PassExistingRoleToCloudFormation": ("iam:PassRole", "cloudformation:CreateStack"),
    "21-PassExistingRoleToNewDataPipeline": (
        "iam:PassRole",
        "datapipeline:CreatePipeline",
        "datapipeline:PutPipelineDefinition",
    ),
    "AssumeRole": ("sts:AssumeRole",),
    "cloudFormationUpdateStack": ("cloudformation:UpdateStack",),
    "codeBuildCreateProjectPassRole": ("iam:PassRole", "codebuild:CreateProject", "codebuild:StartBuild"),
    "ec2InstanceConnect": ("ec2-instance-connect:SendSSHPublicKey",),
    "sageMakerCreateNotebookPassRole": ("iam:PassRole", "sagemaker:CreateNotebookInstance"),
    "sageMakerCreatePresignedNotebookURL": ("sagemaker:CreatePresignedNotebookInstanceUrl",),
    "sageMakerCreateProcessingJob": ("iam:PassRole", "sagemaker:CreateProcessingJob"),
    "sageMakerCreateTrainingJob": ("iam:PassRole", "sagemaker:CreateTrainingJob"),
    "ssmSendCommand": ("ssm:SendCommand",),
    "ssmStartSession": ("ssm:StartSession",),
}

# Datadog, pathfinding.cloud: what its paths need, beyond those above.
PATHFINDING: dict[str, tuple[str, ...]] = {
    "apprunner-001": ("iam:PassRole", "apprunner:CreateService"),
    "apprunner-002": ("apprunner:UpdateService",),
    "amplify-001": ("iam:PassRole", "amplify:CreateApp", "amplify:CreateBranch", "amplify:StartJob"),
    "batch-001": ("iam:PassRole", "batch:RegisterJobDefinition", "batch:SubmitJob"),
    "batch-002": ("batch:SubmitJob",),
    "batch-003": (
        "iam:PassRole",
        "batch:CreateComputeEnvironment",
        "batch:CreateJobQueue",
        "batch:RegisterJobDefinition",
        "batch:SubmitJob",
    ),
    "bedrock-001": (
        "iam:PassRole",
        "bedrock-agentcore:CreateCodeInterpreter",
        "bedrock-agentcore:InvokeCodeInterpreter",
    ),
    "bedrock-002": ("bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"),
    "bedrock-004": ("bedrock-agentcore:InvokeAgentRuntimeCommand",),
    "braket-001": ("iam:PassRole", "braket:CreateJob"),
    "cloudformation-003": (
        "iam:PassRole",
        "cloudformation:CreateStackSet",
        "cloudformation:CreateStackInstances",
    ),
    "cloudformation-004": ("iam:PassRole", "cloudformation:UpdateStackSet"),
    "cloudformation-005": ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
    "codedeploy-001": (
        "codedeploy:CreateDeployment",
        "codedeploy:RegisterApplicationRevision",
        "codedeploy:GetDeploymentConfig",
    ),
    "bedrock-006": ("bedrock-agentcore:StartBrowserSession", "bedrock-agentcore:ConnectBrowserAutomationStream"),
    "codebuild-002": ("codebuild:StartBuild",),
    "codebuild-003": ("codebuild:StartBuildBatch",),
    "ec2-002": ("ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"),
    "ec2-004": ("iam:PassRole", "ec2:RequestSpotInstances"),
    "ec2-005": ("ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"),
    "ecs-001": ("iam:PassRole", "ecs:CreateCluster", "ecs:RegisterTaskDefinition", "ecs:CreateService"),
    "ecs-002": ("iam:PassRole", "ecs:CreateCluster", "ecs:RegisterTaskDefinition", "ecs:RunTask"),
    "ecs-005": ("iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:StartTask"),
    "ecs-006": ("ecs:ExecuteCommand", "ecs:DescribeTasks"),
    "emr-001": ("iam:PassRole", "elasticmapreduce:RunJobFlow"),
    "emrserverless-001": ("iam:PassRole", "emr-serverless:CreateApplication", "emr-serverless:StartJobRun"),
    "gamelift-001": ("iam:PassRole", "gamelift:CreateBuild", "gamelift:CreateFleet"),
    "glue-003": ("iam:PassRole", "glue:CreateJob", "glue:StartJobRun"),
    "glue-004": ("iam:PassRole", "glue:CreateJob", "glue:CreateTrigger"),
    "glue-005": ("iam:PassRole", "glue:UpdateJob", "glue:StartJobRun"),
    "glue-007": ("iam:PassRole", "glue:CreateSession", "glue:RunStatement"),
    "imagebuilder-001": (
        "iam:PassRole",
        "imagebuilder:CreateComponent",
        "imagebuilder:CreateImageRecipe",
        "imagebuilder:CreateInfrastructureConfiguration",
        "imagebuilder:CreateImage",
    ),
    "kinesisanalytics-001": (
        "iam:PassRole",
        "kinesisanalytics:CreateApplication",
        "kinesisanalytics:StartApplication",
    ),
    "lambda-005": ("lambda:UpdateFunctionCode", "lambda:AddPermission"),
    "lambda-006": ("iam:PassRole", "lambda:CreateFunction", "lambda:AddPermission"),
    "omics-001": ("iam:PassRole", "omics:CreateWorkflow", "omics:StartRun"),
    "sagemaker-005": (
        "sagemaker:CreateNotebookInstanceLifecycleConfig",
        "sagemaker:StopNotebookInstance",
        "sagemaker:UpdateNotebookInstance",
        "sagemaker:StartNotebookInstance",
    ),
    "cognitoidentity-001": ("iam:PassRole", "cognito-identity:SetIdentityPoolRoles"),
}

# AWS's own documentation of services that act with the role which a caller passes them, and HackTricks.
DOCUMENTED: dict[str, tuple[str, ...]] = {
    "hybrid-activation": ("iam:PassRole", "ssm:CreateActivation"),
    "iot-credential-provider": (
        "iam:PassRole",
        "iot:CreateRoleAlias",
        "iot:CreateKeysAndCertificate",
        "iot:CreatePolicy",
        "iot:AttachPolicy",
    ),
    "event-target": ("iam:PassRole", "events:PutRule", "events:PutTargets"),
    "pipe-target": ("iam:PassRole", "pipes:CreatePipe"),
    "appsync-signed-http": (
        "iam:PassRole",
        "appsync:CreateGraphqlApi",
        "appsync:CreateDataSource",
        "appsync:CreateResolver",
    ),
    "launch-constraint": (
        "iam:PassRole",
        "servicecatalog:CreateProduct",
        "servicecatalog:CreateConstraint",
        "servicecatalog:ProvisionProduct",
    ),
    "budget-action": ("iam:PassRole", "budgets:CreateBudgetAction", "budgets:ExecuteBudgetAction"),
    "file-server-user": ("iam:PassRole", "transfer:CreateUser"),
    "file-server-key": ("transfer:ImportSshPublicKey",),
}

# Rhino Security Labs and Prowler, beyond those above.
OTHERS: dict[str, tuple[str, ...]] = {
    "rhino-codestar": ("codestar:CreateProjectFromTemplate",),
    "rhino-codestar-member": ("codestar:CreateProject", "codestar:AssociateTeamMember"),
    "rhino-lambda-layer": ("lambda:UpdateFunctionConfiguration",),
    "prowler-autoscaling": (
        "iam:PassRole",
        "autoscaling:CreateAutoScalingGroup",
        "autoscaling:CreateLaunchConfiguration",
    ),
    "prowler-codestar": ("iam:PassRole", "codestar:CreateProject"),
    "reversec-ecs": ("iam:PassRole", "ecs:StartTask", "ecs:RegisterContainerInstance"),
    "prowler-ecs-overrides": ("iam:PassRole", "ecs:RunTask"),
    "prowler-ecs-start-overrides": ("iam:PassRole", "ecs:StartTask"),
    "cloudsplaining-data-pipeline": ("iam:PassRole", "datapipeline:CreatePipeline"),
}

PUBLISHED = {**IAM_VULNERABLE, **PATHFINDING, **DOCUMENTED, **OTHERS}
