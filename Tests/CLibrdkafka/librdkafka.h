// librdkafka with its mock cluster, for tests only. Swift cannot call functions that take `...`, hence the one below.

#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/// The next request `api_key` that `broker` gets is answered with `error`, `delay_ms` later.
static inline rd_kafka_resp_err_t millrace_mock_push_fault(
    rd_kafka_mock_cluster_t *cluster, int32_t broker, int16_t api_key, rd_kafka_resp_err_t error, int delay_ms) {
  return rd_kafka_mock_broker_push_request_error_rtts(cluster, broker, api_key, 1, error, delay_ms);
}
