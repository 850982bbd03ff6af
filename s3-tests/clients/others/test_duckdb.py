"""DuckDB with its extension httpfs: Parquet and CSV, written in parts and read in ranges."""

from pathlib import Path

import duckdb
import duckdb_extension_httpfs
import pytest


@pytest.fixture(scope="module")
def database(address, keys):
    database = duckdb.connect()
    (extension,) = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    database.execute(f"LOAD '{extension}'")
    database.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{keys[0]}', SECRET '{keys[1]}', ENDPOINT '{address}',"
        " USE_SSL false, URL_STYLE 'path', REGION 'us-east-1')"
    )
    return database


def test_parquet(database, bucket, s3):
    rows = "SELECT i AS id, i % 3 AS third, hash(i) AS noise FROM range(3_000_000) t(i)"
    database.execute(f"COPY ({rows}) TO 's3://{bucket}/a folder/ü.parquet' (FORMAT parquet, ROW_GROUP_SIZE 100_000)")
    head = s3.head_object(Bucket=bucket, Key="a folder/ü.parquet")
    assert head["ContentLength"] > 20 << 20
    source = f"'s3://{bucket}/a folder/ü.parquet'"
    same = f"SELECT count(*) FROM ((FROM {source}) EXCEPT ALL ({rows}))"
    assert database.execute(same).fetchone() == (0,)
    count, total = database.execute(f"SELECT count(*), sum(id) FROM {source}").fetchone()
    assert (count, total) == (3_000_000, 3_000_000 * 2_999_999 // 2)
    assert database.execute(f"SELECT third FROM {source} WHERE id = 2_345_678").fetchall() == [(2_345_678 % 3,)]


def test_partitions_and_globs(database, bucket):
    rows = "SELECT i AS id, i % 3 AS third FROM range(30_000) t(i)"
    database.execute(f"COPY ({rows}) TO 's3://{bucket}/data' (FORMAT parquet, PARTITION_BY third)")
    source = f"read_parquet('s3://{bucket}/data/*/*.parquet', hive_partitioning = true)"
    answer = database.execute(f"SELECT third, count(*) FROM {source} GROUP BY ALL ORDER BY ALL").fetchall()
    assert answer == [(0, 10_000), (1, 10_000), (2, 10_000)]
    assert len(database.execute(f"FROM glob('s3://{bucket}/data/third=1/*')").fetchall()) == 1


def test_csv(database, bucket):
    database.execute(f"COPY (SELECT range AS n FROM range(1000)) TO 's3://{bucket}/n.csv.gz' (FORMAT csv)")
    assert database.execute(f"SELECT sum(n) FROM 's3://{bucket}/n.csv.gz'").fetchone() == (499_500,)
    with pytest.raises(duckdb.HTTPException, match="404"):
        database.execute(f"FROM read_csv('s3://{bucket}/none.csv')")
