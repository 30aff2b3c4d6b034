"""A trail that logs one region only, written by hand."""

import pulumi_aws as aws

aws.cloudtrail.Trail(
    "demo-trail",
    name="demo",
    s3_bucket_name="acme-dev-trail",
    enable_log_file_validation=True,
    event_selectors=[
        {
            "include_management_events": True,
            "data_resources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3:::acme-dev-documents/"]}],
        }
    ],
)
