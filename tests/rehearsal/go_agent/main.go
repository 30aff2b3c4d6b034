// An agent in Go that knows nothing of Narrowgate: it lists a prefix twice, with whatever the SDK's default chain finds,
// and prints which key it used. A key counts as over long before it ends, so that the second listing needs another.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bucket, prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 15*time.Minute - 2*time.Second
	}))
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	for i := 0; i < 2; i++ {
		if i > 0 {
			time.Sleep(3 * time.Second)
		}
		found, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		if err != nil {
			return err
		}
		key, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return err
		}
		fmt.Println(key.AccessKeyID, *found.KeyCount)
	}
	return nil
}
