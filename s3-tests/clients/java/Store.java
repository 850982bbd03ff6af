import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.function.Executable;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.PutObjectResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** Clients with the SDK's default settings, a bucket of the test's own, and what the tests share. */
final class Store {
    static final int MIB = 1 << 20;
    static final Region REGION = Region.of(variable("AWS_DEFAULT_REGION"));
    static final URI ENDPOINT = URI.create(variable("CAIRN_ENDPOINT"));
    private static final AtomicInteger COUNT = new AtomicInteger();

    final S3Client client =
            S3Client.builder().region(REGION).endpointOverride(ENDPOINT).forcePathStyle(true).build();
    final String bucket = "java-" + ProcessHandle.current().pid() + "-" + COUNT.incrementAndGet();

    Store() {
        client.createBucket(it -> it.bucket(bucket));
    }

    /** Splits what is large into parts by itself. */
    static S3AsyncClient multipart() {
        return S3AsyncClient.builder()
                .region(REGION).endpointOverride(ENDPOINT).forcePathStyle(true).multipartEnabled(true).build();
    }

    /** The S3 client of the AWS Common Runtime. */
    static S3AsyncClient crt() {
        return S3AsyncClient.crtBuilder().region(REGION).endpointOverride(ENDPOINT).forcePathStyle(true).build();
    }

    static S3Presigner presigner() {
        var path = software.amazon.awssdk.services.s3.S3Configuration.builder().pathStyleAccessEnabled(true).build();
        return S3Presigner.builder().region(REGION).endpointOverride(ENDPOINT).serviceConfiguration(path).build();
    }

    PutObjectResponse put(String key, byte[] data, Consumer<PutObjectRequest.Builder> change) {
        var request = PutObjectRequest.builder().bucket(bucket).key(key);
        change.accept(request);
        return client.putObject(request.build(), RequestBody.fromBytes(data));
    }

    PutObjectResponse put(String key, String text) {
        return put(key, text.getBytes(), it -> {});
    }

    ResponseBytes<GetObjectResponse> get(String key, Consumer<GetObjectRequest.Builder> change) {
        var request = GetObjectRequest.builder().bucket(bucket).key(key);
        change.accept(request);
        return client.getObjectAsBytes(request.build());
    }

    String text(String key) {
        return get(key, it -> {}).asUtf8String();
    }

    /** All keys, by pages of seven. */
    List<String> keys(String prefix) {
        var pages = client.listObjectsV2Paginator(it -> it.bucket(bucket).prefix(prefix).maxKeys(7));
        return pages.contents().stream().map(S3Object::key).toList();
    }

    static String variable(String name) {
        return Objects.requireNonNull(System.getenv(name), name + " is not set: test_java.py sets it");
    }

    /** Bytes that follow from the size alone. */
    static byte[] content(int size) {
        var data = new byte[size];
        new Random(size).nextBytes(data);
        return data;
    }

    static void same(byte[] wanted, byte[] got) {
        assertTrue(Arrays.equals(wanted, got), () -> got.length + " bytes differ from " + wanted.length);
    }

    static void refused(int status, String code, Executable action) {
        var error = assertThrows(S3Exception.class, () -> {
            try {
                action.execute();
            } catch (CompletionException wrapped) {
                throw wrapped.getCause();
            }
        });
        var got = error.awsErrorDetails() == null ? null : error.awsErrorDetails().errorCode();
        assertEquals(status + " " + code, error.statusCode() + " " + got);
    }
}
