import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.BucketVersioningStatus;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.MetadataDirective;
import software.amazon.awssdk.services.s3.model.ObjectAttributes;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.ObjectVersion;
import software.amazon.awssdk.services.s3.model.Tag;
import software.amazon.awssdk.transfer.s3.S3TransferManager;
import software.amazon.awssdk.transfer.s3.model.DownloadFileRequest;
import software.amazon.awssdk.transfer.s3.model.UploadFileRequest;

/** What the AWS SDK for Java v2 and its transfer manager do beyond single objects. */
final class ChangesTest {
    private final Store store = new Store();

    @Test
    void clientOfTheCommonRuntime(@TempDir Path folder) throws Exception {
        transfers(Store.crt(), folder);
    }

    @Test
    void clientThatSplits(@TempDir Path folder) throws Exception {
        transfers(Store.multipart(), folder);
    }

    /** Up and down by the transfer manager: files, a folder, a body of a length not known, a copy of parts. */
    private void transfers(S3AsyncClient client, Path folder) throws Exception {
        var up = Files.createDirectory(folder.resolve("up"));
        var sizes = List.of(0, 1000, 5 * Store.MIB, 20 * Store.MIB + 1);
        for (int size : sizes) {
            Files.write(up.resolve("" + size), Store.content(size));
        }
        try (client; var manager = S3TransferManager.builder().s3Client(client).build()) {
            for (int size : sizes) {
                var put = UploadFileRequest.builder().source(up.resolve("" + size))
                        .putObjectRequest(it -> it.bucket(store.bucket).key("file/" + size)).build();
                manager.uploadFile(put).completionFuture().join();
                var to = folder.resolve("down " + size);
                var get = DownloadFileRequest.builder().destination(to)
                        .getObjectRequest(it -> it.bucket(store.bucket).key("file/" + size)).build();
                manager.downloadFile(get).completionFuture().join();
                Store.same(Store.content(size), Files.readAllBytes(to));
            }
            var done = manager.uploadDirectory(it -> it.source(up).bucket(store.bucket).s3Prefix("all")).completionFuture();
            assertEquals(List.of(), done.join().failedTransfers());
            assertEquals(sizes.size(), store.keys("all/").size());

            var body = AsyncRequestBody.forBlockingInputStream(null);
            var put = client.putObject(it -> it.bucket(store.bucket).key("stream"), body);
            body.writeInputStream(Files.newInputStream(up.resolve("" + (20 * Store.MIB + 1))));
            put.join();
            var got = client.getObject(it -> it.bucket(store.bucket).key("stream"), AsyncResponseTransformer.toBytes());
            Store.same(Store.content(20 * Store.MIB + 1), got.join().asByteArray());

            var key = "file/" + (20 * Store.MIB + 1);
            manager.copy(copy -> copy.copyObjectRequest(it -> it.sourceBucket(store.bucket).sourceKey(key)
                    .destinationBucket(store.bucket).destinationKey("copy"))).completionFuture().join();
            Store.same(Store.content(20 * Store.MIB + 1), store.get("copy", it -> {}).asByteArray());
        }
    }

    @Test
    void copies() {
        store.put("grüße +1", "content".getBytes(), it -> it.metadata(Map.of("a", "1")));
        store.client.copyObject(it -> it.sourceBucket(store.bucket).sourceKey("grüße +1")
                .destinationBucket(store.bucket).destinationKey("kept"));
        store.client.copyObject(it -> it.sourceBucket(store.bucket).sourceKey("grüße +1")
                .destinationBucket(store.bucket).destinationKey("replaced")
                .metadataDirective(MetadataDirective.REPLACE).metadata(Map.of("b", "2")));
        assertEquals("content", store.text("kept"));
        assertEquals(Map.of("a", "1"), store.get("kept", it -> {}).response().metadata());
        assertEquals(Map.of("b", "2"), store.get("replaced", it -> {}).response().metadata());
        Store.refused(404, "NoSuchKey", () -> store.client.copyObject(it -> it.sourceBucket(store.bucket)
                .sourceKey("none").destinationBucket(store.bucket).destinationKey("kept")));
    }

    @Test
    void copiesOfParts() {
        var data = Store.content(12 * Store.MIB);
        store.put("source", data, it -> {});
        var id = store.client.createMultipartUpload(it -> it.bucket(store.bucket).key("key")).uploadId();
        var parts = new ArrayList<CompletedPart>();
        for (var range : List.of("bytes=0-6291455", "bytes=6291456-12582911")) {
            int number = parts.size() + 1;
            var part = store.client.uploadPartCopy(it -> it.sourceBucket(store.bucket).sourceKey("source")
                    .destinationBucket(store.bucket).destinationKey("key").uploadId(id).partNumber(number)
                    .copySourceRange(range));
            parts.add(CompletedPart.builder().partNumber(number).eTag(part.copyPartResult().eTag()).build());
        }
        store.client.completeMultipartUpload(it -> it.bucket(store.bucket).key("key").uploadId(id)
                .multipartUpload(upload -> upload.parts(parts)));
        Store.same(data, store.get("key", it -> {}).asByteArray());
        assertEquals(2, store.get("key", it -> it.partNumber(2)).response().partsCount());
    }

    @Test
    void versions() {
        store.client.putBucketVersioning(it -> it.bucket(store.bucket)
                .versioningConfiguration(to -> to.status(BucketVersioningStatus.ENABLED)));
        var first = store.put("key", "first").versionId();
        var second = store.put("key", "second").versionId();
        var deleted = store.client.deleteObject(it -> it.bucket(store.bucket).key("key"));
        assertTrue(deleted.deleteMarker());
        Store.refused(404, "NoSuchKey", () -> store.text("key"));
        Store.refused(405, "MethodNotAllowed", () -> store.get("key", it -> it.versionId(deleted.versionId())));
        assertEquals("first", store.get("key", it -> it.versionId(first)).asUtf8String());
        var listed = store.client.listObjectVersions(it -> it.bucket(store.bucket));
        assertEquals(List.of(second, first), listed.versions().stream().map(ObjectVersion::versionId).toList());
        assertEquals(1, listed.deleteMarkers().size());
        store.client.deleteObject(it -> it.bucket(store.bucket).key("key").versionId(deleted.versionId()));
        assertEquals("second", store.text("key"));
    }

    @Test
    void tagging() {
        var set = List.of(Tag.builder().key("x").value("y").build());
        store.put("key", new byte[0], it -> it.tagging("a=1&b%20c=%C3%BC"));
        assertEquals(Map.of("a", "1", "b c", "ü"), tags());
        assertEquals(2, store.get("key", it -> {}).response().tagCount());
        store.client.putObjectTagging(it -> it.bucket(store.bucket).key("key").tagging(to -> to.tagSet(set)));
        assertEquals(Map.of("x", "y"), tags());
        store.client.deleteObjectTagging(it -> it.bucket(store.bucket).key("key"));
        assertEquals(Map.of(), tags());
        Store.refused(404, "NoSuchTagSet", () -> store.client.getBucketTagging(it -> it.bucket(store.bucket)));
        store.client.putBucketTagging(it -> it.bucket(store.bucket).tagging(to -> to.tagSet(set)));
        assertEquals(set, store.client.getBucketTagging(it -> it.bucket(store.bucket)).tagSet());
    }

    private Map<String, String> tags() {
        var answer = store.client.getObjectTagging(it -> it.bucket(store.bucket).key("key"));
        return answer.tagSet().stream().collect(Collectors.toMap(Tag::key, Tag::value));
    }

    @Test
    void presignedUrls() throws Exception {
        var plain = HttpClient.newHttpClient();
        try (var signer = Store.presigner()) {
            var put = signer.presignPutObject(it -> it.signatureDuration(Duration.ofMinutes(5))
                    .putObjectRequest(object -> object.bucket(store.bucket).key("a +ü").contentType("text/plain")));
            var request = HttpRequest.newBuilder(put.url().toURI()).header("content-type", "text/plain")
                    .PUT(HttpRequest.BodyPublishers.ofString("content")).build();
            assertEquals(200, plain.send(request, BodyHandlers.ofString()).statusCode());
            var get = signer.presignGetObject(it -> it.signatureDuration(Duration.ofMinutes(5)).getObjectRequest(
                    object -> object.bucket(store.bucket).key("a +ü").responseContentType("x/y")));
            var answer = plain.send(HttpRequest.newBuilder(get.url().toURI()).build(), BodyHandlers.ofString());
            assertEquals("content", answer.body());
            assertEquals("x/y", answer.headers().firstValue("content-type").orElse(null));
        }
    }

    @Test
    void batchDelete() {
        var keys = IntStream.range(0, 10).mapToObj(n -> "a&b <" + n + "> ü").toList();
        keys.forEach(key -> store.put(key, ""));
        var objects = Stream.concat(keys.stream(), Stream.of("none"))
                .map(key -> ObjectIdentifier.builder().key(key).build()).toList();
        var answer = store.client.deleteObjects(it -> it.bucket(store.bucket).delete(these -> these.objects(objects)));
        assertEquals(11, answer.deleted().size());
        assertEquals(List.of(), answer.errors());
        assertEquals(List.of(), store.keys(""));
        store.client.deleteBucket(it -> it.bucket(store.bucket));
    }

    @Test
    void attributes() {
        try (var client = Store.multipart()) {
            var body = AsyncRequestBody.fromBytes(Store.content(20 * Store.MIB));
            client.putObject(it -> it.bucket(store.bucket).key("key"), body).join();
        }
        var got = store.client.getObjectAttributes(it -> it.bucket(store.bucket).key("key").objectAttributes(
                Set.of(ObjectAttributes.E_TAG, ObjectAttributes.CHECKSUM, ObjectAttributes.OBJECT_PARTS,
                        ObjectAttributes.OBJECT_SIZE)));
        assertEquals(20L * Store.MIB, got.objectSize());
        assertEquals(3, got.objectParts().totalPartsCount());
        assertNotNull(got.checksum().checksumCRC32());
    }
}
