"""Tables written by one library and read by every other, all of them through this server."""

import importlib.metadata
import pathlib

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.fs
import pyarrow.parquet
import pytest

ROWS = 10_000


@pytest.fixture(scope="module")
def table():
    return pandas.DataFrame(
        {
            "id": range(ROWS),
            "name": ["näme %d" % n for n in range(ROWS)],
            "share": [n / 7 for n in range(ROWS)],
            "day": ["2026-01-%02d" % (1 + n % 28) for n in range(ROWS)],
        }
    )


@pytest.fixture
def arrow(s3_connection):
    host, port, key, secret = s3_connection
    return pyarrow.fs.S3FileSystem(
        access_key=key, secret_key=secret, endpoint_override="%s:%d" % (host, port), scheme="http"
    )


@pytest.fixture
def polars_options(server, user_key):
    key, secret = user_key
    return {
        "aws_access_key_id": key,
        "aws_secret_access_key": secret,
        "aws_endpoint_url": server.url,
        "aws_region": server.region,
        "aws_allow_http": "true",
    }


@pytest.fixture
def duck(server, s3_connection):
    host, port, key, secret = s3_connection
    connection = duckdb.connect()
    connection.execute("LOAD '%s'" % duck_extension("httpfs"))
    connection.execute(
        "CREATE SECRET (TYPE s3, KEY_ID '%s', SECRET '%s', ENDPOINT '%s:%d', REGION '%s', "
        "URL_STYLE 'path', USE_SSL false)" % (key, secret, host, port, server.region)
    )
    yield connection
    connection.close()


def duck_extension(name):
    """The file of an extension that a package brings; DuckDB itself would download it."""
    files = importlib.metadata.files("duckdb-ext-" + name)
    return next(pathlib.Path(file.locate()) for file in files if file.name == name + ".duckdb_extension")


def same(frame, table):
    pandas.testing.assert_frame_equal(
        frame.sort_values("id").reset_index(drop=True)[list(table.columns)].astype(table.dtypes.to_dict()), table
    )


def readers(bucket, key, arrow, duck, storage_options, polars_options):
    address = "s3://%s/%s" % (bucket, key)
    return {
        "pandas": lambda: pandas.read_parquet(address, storage_options=storage_options),
        "pyarrow": lambda: pyarrow.parquet.read_table("%s/%s" % (bucket, key), filesystem=arrow).to_pandas(),
        "duckdb": lambda: duck.execute("SELECT * FROM read_parquet('%s')" % address).df(),
        "polars": lambda: polars.read_parquet(address, storage_options=polars_options).to_pandas(),
    }


@pytest.mark.parametrize("writer", ["pandas", "pyarrow", "duckdb", "polars"])
def test_what_one_writes_all_read(writer, table, bucket, arrow, duck, storage_options, polars_options):
    key = "tables/%s.parquet" % writer
    address = "s3://%s/%s" % (bucket, key)
    if writer == "pandas":
        table.to_parquet(address, storage_options=storage_options)
    elif writer == "pyarrow":
        pyarrow.parquet.write_table(pyarrow.Table.from_pandas(table), "%s/%s" % (bucket, key), filesystem=arrow)
    elif writer == "duckdb":
        duck.register("source", table)
        duck.execute("COPY (SELECT * FROM source) TO '%s' (FORMAT parquet)" % address)
    else:
        polars.from_pandas(table).write_parquet(address, storage_options=polars_options)
    for read in readers(bucket, key, arrow, duck, storage_options, polars_options).values():
        same(read(), table)


def test_a_partitioned_data_set_is_found_by_its_prefix(table, bucket, arrow, duck, polars_options):
    root = "%s/days" % bucket
    pyarrow.dataset.write_dataset(
        pyarrow.Table.from_pandas(table), root, filesystem=arrow, format="parquet", partitioning=["day"],
        partitioning_flavor="hive",
    )
    found = pyarrow.dataset.dataset(root, filesystem=arrow, format="parquet", partitioning="hive")
    assert found.count_rows() == ROWS
    assert len(found.files) == 28
    glob = "s3://%s/days/*/*.parquet" % bucket
    counted = duck.execute("SELECT day, count(*) FROM read_parquet('%s', hive_partitioning=true) GROUP BY day" % glob)
    assert sum(count for _, count in counted.fetchall()) == ROWS
    lazy = polars.scan_parquet("s3://%s/days/" % bucket, storage_options=polars_options, hive_partitioning=True)
    assert lazy.filter(polars.col("id") == 5).collect().height == 1


def test_csv_goes_both_ways(table, bucket, duck, storage_options, polars_options):
    address = "s3://%s/table.csv" % bucket
    table.to_csv(address, index=False, storage_options=storage_options)
    same(pandas.read_csv(address, storage_options=storage_options), table)
    same(duck.execute("SELECT * REPLACE (CAST(day AS VARCHAR) AS day) FROM read_csv('%s')" % address).df(), table)
    same(polars.scan_csv(address, storage_options=polars_options).collect().to_pandas(), table)


def test_a_large_table_is_written_in_parts_and_read_in_ranges(server, bucket, arrow, duck):
    """40 MB of numbers that do not compress, more than any client sends in one request."""
    numbers = pyarrow.table({"x": [hash((n, "salt")) / 3 for n in range(5_000_000)]})
    pyarrow.parquet.write_table(numbers, "%s/large.parquet" % bucket, filesystem=arrow, compression="none",
                                use_dictionary=False)
    head = server.client("s3").head_object(Bucket=bucket, Key="large.parquet")
    assert head["ETag"].strip('"').count("-") == 1, "the client did not use a multipart upload"
    total = duck.execute("SELECT sum(x), count(*) FROM read_parquet('s3://%s/large.parquet')" % bucket).fetchone()
    assert total[1] == numbers.num_rows
    assert total[0] == pytest.approx(pyarrow.compute.sum(numbers["x"]).as_py())
