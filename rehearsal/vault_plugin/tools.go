//go:build tools

// Package tools pins what `go.mod` must hold: the program that the rehearsal builds and does not import.
package tools

import _ "github.com/hashicorp/vault/builtin/logical/aws/cmd/aws"
