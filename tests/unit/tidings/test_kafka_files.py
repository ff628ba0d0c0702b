"""The files beside a broker."""

from tidings.services.kafka_files import cluster_id_from


def test_a_cluster_id_is_never_an_option_of_kafkas_tools() -> None:
    """Whatever chance gives, an id has 22 characters and doesn't begin with a dash."""
    for first in range(256):
        cluster_id = cluster_id_from(bytes([first]) + bytes(range(15)))
        assert len(cluster_id) == 22
        assert cluster_id[0] not in "-_"
