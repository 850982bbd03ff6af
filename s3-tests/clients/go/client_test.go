// Package client holds what the AWS SDK for Go v2 sends with its default settings. test_go.py runs it.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

const mib = 1 << 20

var ctx = context.Background()

// A store is a client and a new bucket.
type store struct {
	*testing.T
	client *s3.Client
	bucket *string
}

func variable(name string) string {
	value, set := os.LookupEnv(name)
	if !set {
		panic(name + " is not set: test_go.py sets it")
	}
	return value
}

// newStore connects to the endpoint that this variable names.
func newStore(t *testing.T, endpoint string) store {
	t.Parallel()
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(variable("AWS_DEFAULT_REGION")))
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(settings, func(options *s3.Options) {
		options.BaseEndpoint = aws.String(variable(endpoint))
		options.UsePathStyle = true
	})
	name := fmt.Sprintf("go-%s-%d", strings.ToLower(strings.TrimPrefix(t.Name(), "Test")), os.Getpid())
	s := store{t, client, aws.String(name)}
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: s.bucket})
	s.must(err)
	return s
}

func open(t *testing.T) store { return newStore(t, "CAIRN_ENDPOINT") }

func content(size int) []byte {
	data := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(data)
	return data
}

func (s store) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// at is what the pointer points to; the zero value if the answer lacks it.
func at[V any](pointer *V) (value V) {
	if pointer != nil {
		value = *pointer
	}
	return
}

// same stops the test unless both are equal; bodies are told apart without printing them.
func same[V any](t store, what string, got, want V) {
	t.Helper()
	gotBytes, isBytes := any(got).([]byte)
	if isBytes {
		wantBytes := any(want).([]byte)
		if !bytes.Equal(gotBytes, wantBytes) {
			t.Fatalf("%s: %d bytes differ from the %d wanted", what, len(gotBytes), len(wantBytes))
		}
		return
	}
	if left, right := fmt.Sprint(got), fmt.Sprint(want); left != right {
		t.Fatalf("%s: %s, wanted %s", what, left, right)
	}
}

// refused stops the test unless this is the error of S3 with that status and code.
func (s store) refused(err error, status int, code string) {
	s.Helper()
	var answer *awshttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &answer) || !errors.As(err, &api) {
		s.Fatalf("wanted %d %s, got %v", status, code, err)
	}
	same(s, "refusal", fmt.Sprint(answer.HTTPStatusCode(), " ", api.ErrorCode()), fmt.Sprint(status, " ", code))
}

func (s store) put(key string, data []byte, change ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	s.Helper()
	input := &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: bytes.NewReader(data)}
	for _, f := range change {
		f(input)
	}
	answer, err := s.client.PutObject(ctx, input)
	s.must(err)
	return answer
}

func (s store) get(key string, change ...func(*s3.GetObjectInput)) ([]byte, *s3.GetObjectOutput) {
	s.Helper()
	input := &s3.GetObjectInput{Bucket: s.bucket, Key: &key}
	for _, f := range change {
		f(input)
	}
	answer, err := s.client.GetObject(ctx, input)
	s.must(err)
	data, err := io.ReadAll(answer.Body)
	s.must(err)
	s.must(answer.Body.Close())
	return data, answer
}

func (s store) head(key string) *s3.HeadObjectOutput {
	s.Helper()
	answer, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket, Key: &key})
	s.must(err)
	return answer
}

// keys are all keys of the bucket, by pages of seven.
func (s store) keys(prefix string) []string {
	s.Helper()
	input := &s3.ListObjectsV2Input{Bucket: s.bucket, Prefix: &prefix, MaxKeys: aws.Int32(7)}
	var keys []string
	for pages := s3.NewListObjectsV2Paginator(s.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		s.must(err)
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys
}

// fetch sends a request as a program without the SDK would.
func (s store) fetch(method, url string, headers http.Header, body []byte) (int, []byte) {
	s.Helper()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	s.must(err)
	for name, values := range headers {
		if name != "Host" {
			request.Header[name] = slices.Clone(values)
		}
	}
	answer, err := http.DefaultClient.Do(request)
	s.must(err)
	data, err := io.ReadAll(answer.Body)
	s.must(err)
	s.must(answer.Body.Close())
	return answer.StatusCode, data
}
