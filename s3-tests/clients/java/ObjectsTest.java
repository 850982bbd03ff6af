import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.ByteArrayInputStream;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.ChecksumType;
import software.amazon.awssdk.services.s3.model.CommonPrefix;

/** What the AWS SDK for Java v2 sends and reads of single objects. */
final class ObjectsTest {
    private final Store store = new Store();

    @Test
    void sizes() throws Exception {
        for (int size : new int[] {0, 1, 16 << 10, (16 << 10) + 1, (128 << 10) + 1, Store.MIB, 5 * Store.MIB}) {
            var data = Store.content(size);
            store.put("" + size, data, it -> {});
            var got = store.get("" + size, it -> {});
            Store.same(data, got.asByteArray());
            var etag = HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(data));
            assertEquals("\"" + etag + "\"", got.response().eTag());
            assertEquals(size, store.client.headObject(it -> it.bucket(store.bucket).key("" + size)).contentLength());
        }
    }

    @Test
    void oddKeys() {
        var keys = List.of("(a)*!~'", "100%25 %zz", "a+b=c&d", "a//b/../.", "a`b'c\".txt", "grüße/日本語 🦀", "with space");
        keys.forEach(key -> store.put(key, key));
        keys.forEach(key -> assertEquals(key, store.text(key)));
        assertEquals(keys, store.keys(""));
    }

    @Test
    void metadata() {
        store.put("key", new byte[1], it -> it.metadata(Map.of("name", "a value", "other", "b"))
                .contentType("text/plain; charset=utf-8").cacheControl("max-age=60").contentEncoding("gzip")
                .contentDisposition("attachment; filename=\"a b.txt\"").contentLanguage("de"));
        var head = store.client.headObject(it -> it.bucket(store.bucket).key("key"));
        assertEquals(Map.of("name", "a value", "other", "b"), head.metadata());
        assertEquals(
                List.of("text/plain; charset=utf-8", "max-age=60", "gzip", "attachment; filename=\"a b.txt\"", "de"),
                List.of(head.contentType(), head.cacheControl(), head.contentEncoding(), head.contentDisposition(),
                        head.contentLanguage()));
    }

    @Test
    void ranges() {
        var data = Store.content(Store.MIB);
        store.put("key", data, it -> {});
        var got = store.get("key", it -> it.range("bytes=100-70000"));
        Store.same(java.util.Arrays.copyOfRange(data, 100, 70001), got.asByteArray());
        assertEquals("bytes 100-70000/1048576", got.response().contentRange());
        Store.same(java.util.Arrays.copyOfRange(data, Store.MIB - 5, Store.MIB),
                store.get("key", it -> it.range("bytes=-5")).asByteArray());
        Store.refused(416, "InvalidRange", () -> store.get("key", it -> it.range("bytes=1048576-")));
    }

    @Test
    void lists() {
        var keys = IntStream.range(0, 30).mapToObj(n -> "folder%d/key %02d".formatted(n % 10, n)).sorted().toList();
        keys.forEach(key -> store.put(key, ""));
        assertEquals(keys, store.keys(""));
        assertEquals(List.of("folder3/key 03", "folder3/key 13", "folder3/key 23"), store.keys("folder3/"));
        var pages = store.client.listObjectsV2Paginator(it -> it.bucket(store.bucket).delimiter("/").maxKeys(3));
        var folders = pages.commonPrefixes().stream().map(CommonPrefix::prefix).toList();
        assertEquals(IntStream.range(0, 10).mapToObj(n -> "folder" + n + "/").toList(), folders);
    }

    @Test
    void conditions() {
        var first = store.put("key", "first".getBytes(), it -> it.ifNoneMatch("*"));
        Store.refused(412, "PreconditionFailed", () -> store.put("key", new byte[1], it -> it.ifNoneMatch("*")));
        Store.refused(412, "PreconditionFailed", () -> store.put("key", new byte[1], it -> it.ifMatch("\"0123\"")));
        Store.refused(404, "NoSuchKey", () -> store.put("none", new byte[1], it -> it.ifMatch("\"0123\"")));
        store.put("key", "second".getBytes(), it -> it.ifMatch(first.eTag()));
        assertEquals("second", store.text("key"));
        Store.refused(412, "PreconditionFailed", () -> store.get("key", it -> it.ifMatch(first.eTag())));
    }

    /** The SDK adds a checksum of its own accord. */
    @Test
    void checksums() throws Exception {
        var data = Store.content(100_000);
        var put = store.put("default", data, it -> {});
        assertEquals(ChecksumType.FULL_OBJECT, put.checksumType());
        assertNotNull(put.checksumCRC32());
        assertEquals(put.checksumCRC32(), store.get("default", it -> it.checksumMode(ChecksumMode.ENABLED)).response().checksumCRC32());
        for (var name : List.of("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")) {
            var algorithm = ChecksumAlgorithm.fromValue(name);
            store.put(name, data, it -> it.checksumAlgorithm(algorithm));
            var got = store.get(name, it -> it.checksumMode(ChecksumMode.ENABLED));
            Store.same(data, got.asByteArray());
            assertNotNull(got.response().getValueForField("Checksum" + name, String.class).orElse(null), name);
        }
        var md5 = MessageDigest.getInstance("MD5").digest("other".getBytes());
        var other = Base64.getEncoder().encodeToString(md5);
        Store.refused(400, "BadDigest", () -> store.put("bad", data, it -> it.contentMD5(other)));
        Store.refused(400, "BadDigest", () -> store.put("bad", data, it -> it.checksumCRC32C("AAAAAA==")));
    }

    /** Chunks that are signed, with a checksum behind them. */
    @Test
    void stream() {
        var data = Store.content(3 * Store.MIB + 7);
        var body = RequestBody.fromContentProvider(
                () -> new ByteArrayInputStream(data), data.length, "application/octet-stream");
        store.client.putObject(it -> it.bucket(store.bucket).key("key"), body);
        var got = store.get("key", it -> it.checksumMode(ChecksumMode.ENABLED));
        Store.same(data, got.asByteArray());
        assertNotNull(got.response().checksumCRC32());
    }

    /** An answer to HEAD has no body: the SDK derives these codes from the status. */
    @Test
    void refusals() {
        Store.refused(404, "NoSuchKey", () -> store.text("none"));
        Store.refused(404, "NoSuchKey", () -> store.client.headObject(it -> it.bucket(store.bucket).key("none")));
        Store.refused(404, "NoSuchBucket", () -> store.client.headBucket(it -> it.bucket("none-such-bucket")));
        Store.refused(404, "NoSuchBucket", () -> store.client.listObjectsV2(it -> it.bucket("none-such-bucket")));
        Store.refused(404, "NoSuchUpload",
                () -> store.client.listParts(it -> it.bucket(store.bucket).key("none").uploadId("none")));
        store.put("key", "");
        Store.refused(409, "BucketNotEmpty", () -> store.client.deleteBucket(it -> it.bucket(store.bucket)));
    }
}
