"""The test suite that fsspec brings for file systems, run on s3fs against this server."""

import fsspec.tests.abstract as suite
import pytest
import s3fs


class Fixtures(suite.AbstractFixtures):
    @pytest.fixture
    def fs(self, storage_options):
        s3fs.S3FileSystem.clear_instance_cache()
        return s3fs.S3FileSystem(use_listings_cache=False, **storage_options)

    @pytest.fixture
    def fs_path(self, bucket):
        return bucket

    @pytest.fixture
    def supports_empty_directories(self):
        """S3 has keys, not directories."""
        return False


class TestCopy(suite.AbstractCopyTests, Fixtures):
    pass


class TestGet(suite.AbstractGetTests, Fixtures):
    pass


class TestPut(suite.AbstractPutTests, Fixtures):
    pass


class TestPipe(suite.AbstractPipeTests, Fixtures):
    pass


class TestOpen(suite.AbstractOpenTests, Fixtures):
    def test_open_exclusive(self, fs, fs_target):
        """s3fs learns that a key is taken when it sends the file, not when it opens it."""
        fs.pipe(fs_target, b"data")
        with pytest.raises(FileExistsError):
            with fs.open(fs_target, "xb") as file:
                file.write(b"other")
        assert fs.cat(fs_target) == b"data"
