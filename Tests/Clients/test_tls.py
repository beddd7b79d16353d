"""Our clients over TLS: stunnel in front of a broker that only advertises stunnel's port, with throw-away certificates."""

import shutil
import socket
import subprocess
import time

import pytest

from broker import Broker, free_port

PATIENCE_SECONDS = 60


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=PATIENCE_SECONDS)


def make_authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign")


def make_certificate(directory, name, authority, extension):
    (directory / f"{name}.ext").write_text(extension + "\n")
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    make_authority(directory, "ca")
    make_authority(directory, "other-ca")
    # For the name only: 127.0.0.1 is another host.
    make_certificate(directory, "broker", "ca", "subjectAltName=DNS:localhost")
    make_certificate(directory, "client", "ca", "extendedKeyUsage=clientAuth")
    make_certificate(directory, "stranger", "other-ca", "extendedKeyUsage=clientAuth")
    openssl(directory, "pkcs8", "-topk8", "-in", "client.key", "-passout", "pass:s3cret", "-out", "client.enc.key")
    # As Kafka's PEM key stores have it: the key, then its certificate.
    (directory / "client.store.pem").write_text(
        (directory / "client.enc.key").read_text() + (directory / "client.pem").read_text())
    return directory


class TLSBroker:
    """A broker that is reached through stunnel only."""

    def __init__(self, directory, certificates, asks_for_certificates):
        self.directory = directory
        self.certificates = certificates
        self.port = free_port()
        self.broker = Broker(directory, **{
            "advertised.listeners": f"PLAINTEXT://localhost:{self.port}", "group.initial.rebalance.delay.ms": 0,
        }).start()
        lines = [
            "foreground = yes", "pid =", f"output = {directory}/stunnel.log", "[kafka]",
            f"accept = 127.0.0.1:{self.port}", f"connect = 127.0.0.1:{self.broker.port}",
            f"cert = {certificates}/broker.pem", f"key = {certificates}/broker.key",
        ]
        if asks_for_certificates:
            lines += ["verifyChain = yes", f"CAfile = {certificates}/ca.pem"]
        configuration = directory / "stunnel.conf"
        configuration.write_text("\n".join(lines) + "\n")
        program = shutil.which("stunnel4") or shutil.which("stunnel")
        assert program, "there is no stunnel: call tools/setup test"
        self.stunnel = subprocess.Popen(
            [program, str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_stunnel()

    def await_stunnel(self):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                return
            except OSError:
                log = self.directory / "stunnel.log"
                assert self.stunnel.poll() is None and time.monotonic() < deadline, (
                    log.read_text() if log.exists() else "stunnel did not start")
                time.sleep(0.05)

    def run(self, *arguments, host="localhost", fails=False, input=None, **settings):
        """Runs a command with `settings`, where __ stands for a dot, and returns what it wrote."""
        client = self.directory / "client.properties"
        client.write_text("".join(f"{key.replace('__', '.')}={value}\n" for key, value in settings.items()))
        result = self.broker.cli(
            *arguments, "--bootstrap-server", f"{host}:{self.port}", "--command-config", client, input=input,
            check=not fails)
        if fails:
            assert result.returncode > 0, result
            return result.stderr
        return result.stdout

    def stop(self):
        self.stunnel.kill()
        self.stunnel.wait(PATIENCE_SECONDS)
        self.broker.stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory, certificates):
    broker = TLSBroker(tmp_path_factory.mktemp("tls"), certificates, asks_for_certificates=False)
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def mutual_broker(tmp_path_factory, certificates):
    broker = TLSBroker(tmp_path_factory.mktemp("mutual-tls"), certificates, asks_for_certificates=True)
    yield broker
    broker.stop()


@pytest.fixture
def trusting(certificates):
    return {
        "security__protocol": "SSL", "ssl__truststore__type": "PEM",
        "ssl__truststore__location": certificates / "ca.pem",
    }


def round_trip(broker, topic, **settings):
    broker.run("topics", "create", topic, "--partitions", 3, **settings)
    values = [f"v{number}" for number in range(100)]
    broker.run("produce", topic, input="".join(f"{value}\n" for value in values), **settings)
    for group in ([], ["--group", f"g-{topic}"]):
        read = broker.run("consume", topic, "--from", "beginning", "--count", len(values), *group, **settings)
        assert sorted(read.split()) == sorted(values)


def test_every_connection_speaks_tls(broker, trusting, topic):
    round_trip(broker, topic, **trusting)
    assert topic in broker.run("kafka-topics", "--list", **trusting).split()


def test_librdkafkas_names_for_the_settings(broker, certificates, topic):
    round_trip(broker, topic, security__protocol="ssl", ssl__ca__location=certificates / "ca.pem")


def test_large_batches_cross_the_records_of_tls(broker, trusting, topic):
    broker.run("topics", "create", topic, **trusting)
    values = [chr(ord("a") + number) * 300_000 for number in range(20)]
    broker.run("produce", topic, input="".join(f"{value}\n" for value in values), **trusting)
    assert broker.run("consume", topic, "--from", "beginning", "--count", len(values), **trusting).split() == values


def test_a_broker_of_another_authority_is_not_trusted(broker, certificates, trusting):
    trusting["ssl__truststore__location"] = certificates / "other-ca.pem"
    assert "certificate is not trusted" in broker.run("topics", "list", fails=True, **trusting)
    # Nor is one of an authority that the system does not know.
    assert "certificate is not trusted" in broker.run("topics", "list", fails=True, security__protocol="SSL")


def test_a_broker_of_another_name_is_not_trusted(broker, trusting):
    assert "another host name" in broker.run("topics", "list", host="127.0.0.1", fails=True, **trusting)
    broker.run("topics", "list", host="127.0.0.1", ssl__endpoint__identification__algorithm="", **trusting)


def test_a_client_without_tls_is_told_off(broker):
    assert "localhost" in broker.run("topics", "list", fails=True)


def test_a_client_certificate_is_shown_when_asked_for(mutual_broker, certificates, trusting, topic):
    round_trip(
        mutual_broker, topic, ssl__keystore__type="PEM", ssl__keystore__location=certificates / "client.store.pem",
        ssl__key__password="s3cret", **trusting)
    mutual_broker.run(
        "topics", "list", ssl__certificate__location=certificates / "client.pem",
        ssl__key__location=certificates / "client.key", **trusting)


def test_a_missing_client_certificate_is_an_error_that_names_the_setting(mutual_broker, trusting):
    assert "ssl.keystore.location" in mutual_broker.run("topics", "list", fails=True, **trusting)


def test_a_client_certificate_of_another_authority_is_refused(mutual_broker, certificates, trusting):
    message = mutual_broker.run(
        "topics", "list", ssl__certificate__location=certificates / "stranger.pem",
        ssl__key__location=certificates / "stranger.key", fails=True, **trusting)
    assert "localhost" in message


def test_what_cannot_be_read_is_named(broker, certificates, trusting):
    def refused(**settings):
        return broker.run("topics", "list", fails=True, **{**trusting, **settings})

    assert "PEM" in refused(ssl__truststore__type="JKS")
    assert "missing.pem" in refused(ssl__truststore__location=certificates / "missing.pem")
    wrong = refused(ssl__keystore__location=certificates / "client.store.pem", ssl__key__password="hush")
    assert "password" in wrong and "hush" not in wrong


def test_sasl_to_a_broker_without_it_is_an_error_that_says_so(broker, trusting):
    settings = {**trusting, "security__protocol": "SASL_SSL", "sasl__mechanism": "SCRAM-SHA-256",
                "sasl__username": "alice", "sasl__password": "hush"}
    message = broker.run("topics", "list", fails=True, **settings)
    assert "SASL" in message and "hush" not in message
