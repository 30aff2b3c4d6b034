//go:build tools

// Package tools pins what `go.mod` must hold: the programs that the rehearsal builds and does not import.
package tools

import (
	_ "github.com/hashicorp/vault/builtin/credential/aws/cmd/aws"
	_ "github.com/hashicorp/vault/builtin/logical/aws/cmd/aws"
)
