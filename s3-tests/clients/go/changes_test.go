package client

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestManager(t *testing.T) {
	s := open(t)
	data := content(20 * mib)
	uploaded, err := manager.NewUploader(s.client).Upload(ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: aws.String("key"), Body: io.MultiReader(bytes.NewReader(data))})
	s.must(err)
	if uploaded.UploadID == "" || len(uploaded.CompletedParts) != 4 {
		t.Fatalf("not in four parts: %+v", uploaded)
	}
	buffer := manager.NewWriteAtBuffer(nil)
	_, err = manager.NewDownloader(s.client).Download(ctx, buffer, &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("key")})
	s.must(err)
	same(s, "content", buffer.Bytes(), data)
}

func TestTransferManager(t *testing.T) {
	s := open(t)
	transfers := transfermanager.New(s.client)
	for _, size := range []int{0, 1000, 20 * mib} {
		key, data := aws.String(fmt.Sprint(size)), content(size)
		_, err := transfers.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: s.bucket, Key: key, Body: bytes.NewReader(data)})
		s.must(err)
		// by parts, which GET and HEAD number
		answer, err := transfers.GetObject(ctx, &transfermanager.GetObjectInput{Bucket: s.bucket, Key: key})
		s.must(err)
		got, err := io.ReadAll(answer.Body)
		s.must(err)
		same(s, *key+" by parts", got, data)
		buffer := manager.NewWriteAtBuffer(nil)
		_, err = transfers.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: s.bucket, Key: key, WriterAt: buffer})
		s.must(err)
		same(s, *key, buffer.Bytes(), data)
	}
}

func TestCopy(t *testing.T) {
	s := open(t)
	s.put("grüße +1", []byte("content"), func(put *s3.PutObjectInput) { put.Metadata = map[string]string{"a": "1"} })
	source := aws.String(*s.bucket + "/gr%C3%BC%C3%9Fe%20%2B1")
	_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: s.bucket, Key: aws.String("kept"), CopySource: source})
	s.must(err)
	_, err = s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: s.bucket, Key: aws.String("replaced"), CopySource: source,
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"b": "2"},
	})
	s.must(err)
	data, kept := s.get("kept")
	same(s, "content", string(data), "content")
	same(s, "metadata", kept.Metadata, map[string]string{"a": "1"})
	same(s, "metadata", s.head("replaced").Metadata, map[string]string{"b": "2"})
	_, err = s.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: s.bucket, Key: aws.String("kept"), CopySource: aws.String(*s.bucket + "/none")})
	s.refused(err, 404, "NoSuchKey")
}

func TestCopyOfParts(t *testing.T) {
	s := open(t)
	data := content(12 * mib)
	s.put("source", data)
	upload, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: s.bucket, Key: aws.String("key")})
	s.must(err)
	var parts []types.CompletedPart
	for n, place := range []string{"bytes=0-6291455", "bytes=6291456-12582911"} {
		part, err := s.client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: s.bucket, Key: aws.String("key"), UploadId: upload.UploadId, PartNumber: aws.Int32(int32(n + 1)),
			CopySource: aws.String(*s.bucket + "/source"), CopySourceRange: &place,
		})
		s.must(err)
		parts = append(parts, types.CompletedPart{ETag: part.CopyPartResult.ETag, PartNumber: aws.Int32(int32(n + 1))})
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: s.bucket, Key: aws.String("key"), UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	s.must(err)
	got, _ := s.get("key")
	same(s, "content", got, data)
	second, answer := s.get("key", func(get *s3.GetObjectInput) { get.PartNumber = aws.Int32(2) })
	same(s, "second part", second, data[6*mib:])
	same(s, "parts", at(answer.PartsCount), 2)
}

func TestVersions(t *testing.T) {
	s := open(t)
	before, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: s.bucket})
	s.must(err)
	same(s, "status", before.Status, "")
	_, err = s.client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: s.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	s.must(err)
	first := s.put("key", []byte("first")).VersionId
	second := s.put("key", []byte("second")).VersionId
	deleted, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket, Key: aws.String("key")})
	s.must(err)
	same(s, "delete marker", at(deleted.DeleteMarker), true)
	_, err = s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("key")})
	s.refused(err, 404, "NoSuchKey")
	_, err = s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("key"), VersionId: deleted.VersionId})
	s.refused(err, 405, "MethodNotAllowed")
	data, _ := s.get("key", func(get *s3.GetObjectInput) { get.VersionId = first })
	same(s, "first", string(data), "first")

	listed, err := s.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: s.bucket})
	s.must(err)
	same(s, "markers", len(listed.DeleteMarkers), 1)
	var versions []string
	for _, version := range listed.Versions {
		versions = append(versions, at(version.VersionId))
	}
	same(s, "versions", versions, []string{at(second), at(first)})

	_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket, Key: aws.String("key"), VersionId: deleted.VersionId})
	s.must(err)
	data, answer := s.get("key")
	same(s, "undeleted", string(data), "second")
	same(s, "version", at(answer.VersionId), at(second))
}

func TestTagging(t *testing.T) {
	s := open(t)
	s.put("key", nil, func(put *s3.PutObjectInput) { put.Tagging = aws.String("a=1&b%20c=%C3%BC") })
	read := func() map[string]string {
		answer, err := s.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: s.bucket, Key: aws.String("key")})
		s.must(err)
		tags := map[string]string{}
		for _, tag := range answer.TagSet {
			tags[at(tag.Key)] = at(tag.Value)
		}
		return tags
	}
	same(s, "tags", read(), map[string]string{"a": "1", "b c": "ü"})
	_, answer := s.get("key")
	same(s, "count", at(answer.TagCount), 2)
	tags := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("x"), Value: aws.String("y")}}}
	_, err := s.client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: s.bucket, Key: aws.String("key"), Tagging: tags})
	s.must(err)
	same(s, "tags", read(), map[string]string{"x": "y"})
	_, err = s.client.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: s.bucket, Key: aws.String("key")})
	s.must(err)
	same(s, "tags", read(), map[string]string{})

	_, err = s.client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: s.bucket})
	s.refused(err, 404, "NoSuchTagSet")
	_, err = s.client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: s.bucket, Tagging: tags})
	s.must(err)
	bucket, err := s.client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: s.bucket})
	s.must(err)
	same(s, "bucket's tag", at(bucket.TagSet[0].Key), "x")
}

func TestPresigned(t *testing.T) {
	s := open(t)
	signer := s3.NewPresignClient(s.client)
	put, err := signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: aws.String("a +ü"), ContentType: aws.String("text/plain")})
	s.must(err)
	status, answer := s.fetch(put.Method, put.URL, put.SignedHeader, []byte("content"))
	same(s, "PUT "+string(answer), status, http.StatusOK)
	get, err := signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket, Key: aws.String("a +ü"), ResponseContentType: aws.String("x/y")})
	s.must(err)
	status, answer = s.fetch(get.Method, get.URL, get.SignedHeader, nil)
	same(s, "GET", fmt.Sprint(status, string(answer)), "200content")
	at := strings.Index(get.URL, "X-Amz-Signature=") + len("X-Amz-Signature=")
	other := get.URL[:at] + map[bool]string{true: "1", false: "0"}[get.URL[at] == '0'] + get.URL[at+1:]
	status, _ = s.fetch(get.Method, other, get.SignedHeader, nil)
	same(s, "GET with another signature", status, http.StatusForbidden)
}

func TestBatchDelete(t *testing.T) {
	s := open(t)
	var objects []types.ObjectIdentifier
	for n := range 10 {
		key := fmt.Sprintf("a&b <%d> ü", n)
		s.put(key, nil)
		objects = append(objects, types.ObjectIdentifier{Key: &key})
	}
	objects = append(objects, types.ObjectIdentifier{Key: aws.String("none")})
	answer, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: s.bucket, Delete: &types.Delete{Objects: objects}})
	s.must(err)
	same(s, "deleted", []int{len(answer.Deleted), len(answer.Errors)}, []int{11, 0})
	same(s, "left", len(s.keys("")), 0)
	_, err = s.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: s.bucket})
	s.must(err)
}

func TestAttributes(t *testing.T) {
	s := open(t)
	data := content(12 * mib)
	_, err := manager.NewUploader(s.client).Upload(ctx, &s3.PutObjectInput{Bucket: s.bucket, Key: aws.String("key"), Body: bytes.NewReader(data)})
	s.must(err)
	answer, err := s.client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{
		Bucket: s.bucket, Key: aws.String("key"),
		ObjectAttributes: []types.ObjectAttributes{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"},
	})
	s.must(err)
	same(s, "size", at(answer.ObjectSize), int64(len(data)))
	same(s, "parts", at(answer.ObjectParts.TotalPartsCount), 3)
	same(s, "class", answer.StorageClass, types.StorageClassStandard)
	if answer.Checksum == nil || answer.Checksum.ChecksumCRC32 == nil {
		t.Fatalf("no checksum: %+v", answer.Checksum)
	}
	same(s, "quoted ETag", `"`+at(answer.ETag)+`"`, at(s.head("key").ETag))
}

func TestBuckets(t *testing.T) {
	s := open(t)
	all, err := s.client.ListBuckets(ctx, &s3.ListBucketsInput{Prefix: s.bucket})
	s.must(err)
	same(s, "buckets", len(all.Buckets), 1)
	same(s, "name", at(all.Buckets[0].Name), *s.bucket)
	same(s, "region", at(all.Buckets[0].BucketRegion), variable("AWS_DEFAULT_REGION"))
	head, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: s.bucket})
	s.must(err)
	same(s, "region", at(head.BucketRegion), variable("AWS_DEFAULT_REGION"))
	region, err := manager.GetBucketRegion(ctx, s.client, *s.bucket)
	s.must(err)
	same(s, "region", region, variable("AWS_DEFAULT_REGION"))
}
