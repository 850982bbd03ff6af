package client

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestSizes(t *testing.T) {
	s := open(t)
	for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 128<<10 + 1, mib, 5 * mib} {
		key, data := fmt.Sprint(size), content(size)
		put := s.put(key, data)
		got, answer := s.get(key)
		same(s, key, got, data)
		head := s.head(key)
		same(s, "length", at(head.ContentLength), int64(size))
		sum := md5.Sum(data)
		same(s, "ETag", at(head.ETag), fmt.Sprintf("%q", fmt.Sprintf("%x", sum)))
		same(s, "ETag of GET", at(answer.ETag), at(head.ETag))
		same(s, "ETag of PUT", at(put.ETag), at(head.ETag))
	}
}

func TestOddKeys(t *testing.T) {
	s := open(t)
	keys := []string{"with space", "a+b=c&d", "100%25 %zz", "grüße/日本語 🦀", "a`b'c\".txt", "//a//../b/.", "tab\tend"}
	for _, key := range keys {
		s.put(key, []byte(key))
	}
	for _, key := range keys {
		data, _ := s.get(key)
		same(s, key, string(data), key)
	}
	slices.Sort(keys)
	same(s, "keys", s.keys(""), keys)
}

func TestMetadata(t *testing.T) {
	s := open(t)
	s.put("key", []byte("content"), func(put *s3.PutObjectInput) {
		put.Metadata = map[string]string{"name": "a value", "other": "b"}
		put.ContentType = aws.String("text/plain; charset=utf-8")
		put.CacheControl = aws.String("max-age=60")
		put.ContentDisposition = aws.String(`attachment; filename="a b.txt"`)
		put.ContentEncoding = aws.String("gzip")
		put.ContentLanguage = aws.String("de")
		put.StorageClass = types.StorageClassStandard
	})
	head := s.head("key")
	same(s, "metadata", head.Metadata, map[string]string{"name": "a value", "other": "b"})
	got := []string{at(head.ContentType), at(head.CacheControl), at(head.ContentDisposition), at(head.ContentEncoding), at(head.ContentLanguage)}
	same(s, "headers", got, []string{"text/plain; charset=utf-8", "max-age=60", `attachment; filename="a b.txt"`, "gzip", "de"})
}

func TestRanges(t *testing.T) {
	s := open(t)
	data := content(mib)
	s.put("key", data)
	ranges := map[string][2]int{"bytes=0-0": {0, 1}, "bytes=100-70000": {100, 70001}, "bytes=-5": {mib - 5, mib}, "bytes=1048575-2000000": {mib - 1, mib}}
	for text, place := range ranges {
		got, answer := s.get("key", func(get *s3.GetObjectInput) { get.Range = &text })
		same(s, text, got, data[place[0]:place[1]])
		same(s, "content-range", at(answer.ContentRange), fmt.Sprintf("bytes %d-%d/%d", place[0], place[1]-1, mib))
	}
	_, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("key"), Range: aws.String("bytes=1048576-")})
	s.refused(err, 416, "InvalidRange")
}

func TestLists(t *testing.T) {
	s := open(t)
	var keys, folders []string
	for n := range 30 {
		keys = append(keys, fmt.Sprintf("folder%d/key %02d", n%10, n))
		s.put(keys[n], nil)
	}
	slices.Sort(keys)
	same(s, "keys", s.keys(""), keys)
	same(s, "one folder", s.keys("folder3/"), []string{"folder3/key 03", "folder3/key 13", "folder3/key 23"})

	input := &s3.ListObjectsV2Input{Bucket: s.bucket, Delimiter: aws.String("/"), MaxKeys: aws.Int32(3)}
	for pages := s3.NewListObjectsV2Paginator(s.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		s.must(err)
		same(s, "objects", len(page.Contents), 0)
		for _, prefix := range page.CommonPrefixes {
			folders = append(folders, at(prefix.Prefix))
		}
	}
	same(s, "folders", strings.Join(folders, ""), "folder0/folder1/folder2/folder3/folder4/folder5/folder6/folder7/folder8/folder9/")
	after, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: s.bucket, StartAfter: aws.String("folder9/key 19")})
	s.must(err)
	same(s, "after", []any{len(after.Contents), at(after.KeyCount)}, []any{1, 1})
}

func TestConditions(t *testing.T) {
	s := open(t)
	put := s.put("key", []byte("first"), func(put *s3.PutObjectInput) { put.IfNoneMatch = aws.String("*") })
	try := func(key, body string, change func(*s3.PutObjectInput)) error {
		input := &s3.PutObjectInput{Bucket: s.bucket, Key: &key, Body: strings.NewReader(body)}
		change(input)
		_, err := s.client.PutObject(ctx, input)
		return err
	}
	s.refused(try("key", "x", func(put *s3.PutObjectInput) { put.IfNoneMatch = aws.String("*") }), 412, "PreconditionFailed")
	s.refused(try("key", "x", func(put *s3.PutObjectInput) { put.IfMatch = aws.String(`"0123"`) }), 412, "PreconditionFailed")
	s.refused(try("none", "x", func(put *s3.PutObjectInput) { put.IfMatch = aws.String(`"0123"`) }), 404, "NoSuchKey")
	s.must(try("key", "second", func(input *s3.PutObjectInput) { input.IfMatch = put.ETag }))
	data, answer := s.get("key")
	same(s, "content", string(data), "second")

	get := func(change func(*s3.GetObjectInput)) error {
		input := &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("key")}
		change(input)
		_, err := s.client.GetObject(ctx, input)
		return err
	}
	s.refused(get(func(get *s3.GetObjectInput) { get.IfMatch = put.ETag }), 412, "PreconditionFailed")
	s.refused(get(func(get *s3.GetObjectInput) { get.IfNoneMatch = answer.ETag }), 304, "NotModified")
	s.refused(get(func(get *s3.GetObjectInput) { get.IfModifiedSince = answer.LastModified }), 304, "NotModified")
	s.must(get(func(get *s3.GetObjectInput) { get.IfUnmodifiedSince = answer.LastModified }))
}

// The SDK adds a CRC32 of its own accord, and checks it when it reads.
func TestChecksums(t *testing.T) {
	s := open(t)
	data := content(100_000)
	put := s.put("default", data)
	if put.ChecksumCRC32 == nil || put.ChecksumType != types.ChecksumTypeFullObject {
		t.Fatalf("no CRC32 of the whole object in %+v", put)
	}
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		key := string(algorithm)
		s.put(key, data, func(put *s3.PutObjectInput) { put.ChecksumAlgorithm = algorithm })
		got, answer := s.get(key, func(get *s3.GetObjectInput) { get.ChecksumMode = types.ChecksumModeEnabled })
		same(s, key, got, data)
		sums := map[string]*string{"CRC32": answer.ChecksumCRC32, "CRC32C": answer.ChecksumCRC32C, "CRC64NVME": answer.ChecksumCRC64NVME, "SHA1": answer.ChecksumSHA1, "SHA256": answer.ChecksumSHA256}
		if sums[key] == nil {
			t.Fatalf("no %s in the answer", key)
		}
	}
	sum := md5.Sum([]byte("other"))
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: aws.String("bad"), Body: bytes.NewReader(data), ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:]))})
	s.refused(err, 400, "BadDigest")
	_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: aws.String("bad"), Body: bytes.NewReader(data), ChecksumCRC32C: aws.String("AAAAAA==")})
	s.refused(err, 400, "BadDigest")
}

// Over TLS a body that cannot be read twice goes out in chunks that are not signed, its checksum behind them.
func TestStreamOverTLS(t *testing.T) {
	s := newStore(t, "CAIRN_TLS_ENDPOINT")
	data := content(3*mib + 7)
	pipe := io.MultiReader(bytes.NewReader(data)) // hides that it can seek
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: aws.String("key"), Body: pipe, ContentLength: aws.Int64(int64(len(data)))})
	s.must(err)
	got, answer := s.get("key", func(get *s3.GetObjectInput) { get.ChecksumMode = types.ChecksumModeEnabled })
	same(s, "content", got, data)
	if answer.ChecksumCRC32 == nil {
		t.Fatal("the trailer's checksum was not kept")
	}
}

func TestRefusals(t *testing.T) {
	s := open(t)
	none := aws.String("none-" + *s.bucket)
	_, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: none})
	s.refused(err, 404, "NoSuchKey")
	_, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket, Key: none})
	s.refused(err, 404, "NotFound")
	_, err = s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: none})
	s.refused(err, 404, "NotFound")
	_, err = s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: none})
	s.refused(err, 404, "NoSuchBucket")
	_, err = s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("Not_A_Name")})
	s.refused(err, 400, "InvalidBucketName")
	_, err = s.client.ListParts(ctx, &s3.ListPartsInput{Bucket: s.bucket, Key: none, UploadId: aws.String("none")})
	s.refused(err, 404, "NoSuchUpload")
	s.put("key", nil)
	_, err = s.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: s.bucket})
	s.refused(err, 409, "BucketNotEmpty")
}
