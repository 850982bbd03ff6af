//go:build tools

// Package client names what minio-go's own functional tests import, so that go.mod and go.sum pin it.
package client

import (
	_ "github.com/dustin/go-humanize"
	_ "github.com/google/uuid"
	_ "github.com/minio/minio-go/v7"
	_ "github.com/minio/minio-go/v7/pkg/tags"
)
