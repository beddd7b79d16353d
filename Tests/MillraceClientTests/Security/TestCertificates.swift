// Certificates for tests, made with openssl: an authority; a broker's certificates, one for localhost and one for
// 127.0.0.1, both with the same key; a client's; and an authority that signed neither. They say nothing about anybody and
// hold for a hundred years.

enum TestCertificates {
  static let authority = """
    -----BEGIN CERTIFICATE-----
    MIIBmTCCAT+gAwIBAgIUdfv6pdccLE/4tz9i+djCrwye+qIwCgYIKoZIzj0EAwIw
    GTEXMBUGA1UEAwwOTWlsbHJhY2UgdGVzdHMwIBcNMjYxMTIyMDExNDU4WhgPMjEy
    NjEwMjkwMTE0NThaMBkxFzAVBgNVBAMMDk1pbGxyYWNlIHRlc3RzMFkwEwYHKoZI
    zj0CAQYIKoZIzj0DAQcDQgAE3miIaaTSq/Ni6Lx4LkI3T0tnAWKSDfOU5JJpnod4
    FccyruTcbbyP3kUK4PIcR6vwjSl8SHQhoHfDIoUjTxLHcKNjMGEwHQYDVR0OBBYE
    FE6qs7xclnGzFH4ahshyKcQQRq2UMB8GA1UdIwQYMBaAFE6qs7xclnGzFH4ahshy
    KcQQRq2UMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49
    BAMCA0gAMEUCIQC9ry1kq6CeZxQpS+pIBq5mEl805vzf7C2sRDni0OKiHQIgNr4H
    hqACvV1DfZjl4kMLIhqKcmWpf79XPqmuoG6s4SE=
    -----END CERTIFICATE-----
    """
  static let otherAuthority = """
    -----BEGIN CERTIFICATE-----
    MIIBlzCCAT2gAwIBAgIUNAttHPTmY5mPzEa3wwrBXSspeNIwCgYIKoZIzj0EAwIw
    GDEWMBQGA1UEAwwNU29tZWJvZHkgZWxzZTAgFw0yNjExMjIwMTE0NThaGA8yMTI2
    MTAyOTAxMTQ1OFowGDEWMBQGA1UEAwwNU29tZWJvZHkgZWxzZTBZMBMGByqGSM49
    AgEGCCqGSM49AwEHA0IABHZSixA8eXqnqE+9o/2v8l5Jt+S4Bp1gFdnX3Uz50t3c
    dOnhqJEgtf3urq7E3b3iIaKHS9+M1SKhUj79ZNRX0r+jYzBhMB0GA1UdDgQWBBRd
    jso5nbf7pZHkdMyvjiBT0MzVKzAfBgNVHSMEGDAWgBRdjso5nbf7pZHkdMyvjiBT
    0MzVKzAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAKBggqhkjOPQQD
    AgNIADBFAiEAyLdzt5XHVZiAa1noxIQXisxadfjnfca9gk5m7Z7P7L0CIE7Ixvnc
    oaujBPbc7A82vb2Ra+xoPgrVw1WsiNDGvc+u
    -----END CERTIFICATE-----
    """
  static let localhost = """
    -----BEGIN CERTIFICATE-----
    MIIBiTCCAS+gAwIBAgIUQ/IIkz1osFdDwH4VxE5mzLLzETcwCgYIKoZIzj0EAwIw
    GTEXMBUGA1UEAwwOTWlsbHJhY2UgdGVzdHMwIBcNMjYxMTIyMDExNDU5WhgPMjEy
    NjEwMjkwMTE0NTlaMBQxEjAQBgNVBAMMCWxvY2FsaG9zdDBZMBMGByqGSM49AgEG
    CCqGSM49AwEHA0IABIg9JLZL9Ip10tcf+UfMTyfjnWVL2Hilbt5Z2MdvAlvGrCX3
    M8+Q4Be4gRFBSx4NHGD2cZqIUKNKeGz8/PFoZKSjWDBWMBQGA1UdEQQNMAuCCWxv
    Y2FsaG9zdDAdBgNVHQ4EFgQUf1zeDgqAZQ3FzxKeSMmiciX9rMowHwYDVR0jBBgw
    FoAUTqqzvFyWcbMUfhqGyHIpxBBGrZQwCgYIKoZIzj0EAwIDSAAwRQIhALxl/mGH
    yHMes5hTfMUwbDv4K+q0n2669oA/hlGl+s+XAiAzNQicf9Ckmlk5a+t3wYcEx1i8
    vEVDGx0BBOVml7Z+Wg==
    -----END CERTIFICATE-----
    """
  static let loopbackAddress = """
    -----BEGIN CERTIFICATE-----
    MIIBgzCCASigAwIBAgIUQ/IIkz1osFdDwH4VxE5mzLLzETkwCgYIKoZIzj0EAwIw
    GTEXMBUGA1UEAwwOTWlsbHJhY2UgdGVzdHMwIBcNMjYxMTIyMDExNDU5WhgPMjEy
    NjEwMjkwMTE0NTlaMBIxEDAOBgNVBAMMB2FkZHJlc3MwWTATBgcqhkjOPQIBBggq
    hkjOPQMBBwNCAASIPSS2S/SKddLXH/lHzE8n451lS9h4pW7eWdjHbwJbxqwl9zPP
    kOAXuIERQUseDRxg9nGaiFCjSnhs/PzxaGSko1MwUTAPBgNVHREECDAGhwR/AAAB
    MB0GA1UdDgQWBBR/XN4OCoBlDcXPEp5IyaJyJf2syjAfBgNVHSMEGDAWgBROqrO8
    XJZxsxR+GobIcinEEEatlDAKBggqhkjOPQQDAgNJADBGAiEAwvaAscYqQQMhHwQd
    CJivxjEd0eGU7ijCGiGBJVJFEuMCIQCQeI+wWNkRZTePc+M1ylrQN98MlJGO4nVx
    tsB0HQCGyA==
    -----END CERTIFICATE-----
    """
  static let brokerKey = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgONhZHWsTAY3cshKW
    rzKuyxLfplQqcdxwuv3MQyKKdHehRANCAASIPSS2S/SKddLXH/lHzE8n451lS9h4
    pW7eWdjHbwJbxqwl9zPPkOAXuIERQUseDRxg9nGaiFCjSnhs/PzxaGSk
    -----END PRIVATE KEY-----
    """
  static let client = """
    -----BEGIN CERTIFICATE-----
    MIIBhDCCASugAwIBAgIUQ/IIkz1osFdDwH4VxE5mzLLzETgwCgYIKoZIzj0EAwIw
    GTEXMBUGA1UEAwwOTWlsbHJhY2UgdGVzdHMwIBcNMjYxMTIyMDExNDU5WhgPMjEy
    NjEwMjkwMTE0NTlaMBExDzANBgNVBAMMBm9yZGVyczBZMBMGByqGSM49AgEGCCqG
    SM49AwEHA0IABG0qIVK85vUr3LBBwaLH6g4Bh2HprSiRpCqwfZLMOe1WAyL+fmgg
    i1ONu387lgP8ZmHwdqLLbIKaH8rI5wqo2lajVzBVMBMGA1UdJQQMMAoGCCsGAQUF
    BwMCMB0GA1UdDgQWBBT8i7NoQyKRXgZkd/cBke2dbqYLyjAfBgNVHSMEGDAWgBRO
    qrO8XJZxsxR+GobIcinEEEatlDAKBggqhkjOPQQDAgNHADBEAiAKbN/CfnGPWCwo
    eIro2EfPtekUBvmMSx6kRu/or1uj7AIgBRzG6lvkUMCYJazPQyk3ISjUq+ZftN2q
    KEbg5q3FPHA=
    -----END CERTIFICATE-----
    """
  static let clientKey = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+8DmAlO43lXWtlwd
    jZ7pPph0ztKPOKxOEzVQBXLGP/+hRANCAARtKiFSvOb1K9ywQcGix+oOAYdh6a0o
    kaQqsH2SzDntVgMi/n5oIItTjbt/O5YD/GZh8Haiy2yCmh/KyOcKqNpW
    -----END PRIVATE KEY-----
    """
  /// `clientKey` encrypted with `clientKeyPassword`.
  static let encryptedClientKey = """
    -----BEGIN ENCRYPTED PRIVATE KEY-----
    MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh0bk3y81mmDAICCAAw
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDIgp9jsdxNnbCxwaUN2WMcEgZDv
    AVRJ0A3/VRulKOkThqcNetggUgrYOVboEv5pT/JfxZEDJbtUAVXNEM13kWnHq4Ah
    5F/m5++bNsRDEHcuz+hmH8glVTPyUKDpCdmm8Lut0HW+AZ0kdTFVGMXh/RCGcRVc
    BhYInC68UJa6LfVYTrH93ft4SZ7ph3s/7KQgp8J9tDle5JjdIvsAhFl9asTWla0=
    -----END ENCRYPTED PRIVATE KEY-----
    """
  static let clientKeyPassword = "s3cret"
}
