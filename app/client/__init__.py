"""The client library: `from app.client.channel import channel`.

- `channel.py` opens channels, `options.py` has keepalive and grpc's options, and `target.py` parses targets.
- `service_config.py` has load balancing and timeouts, `retries.py` the rules of retries, and
  `outlier_detection.py` the ejection of failing backends; `validated_config.py` checks all of them.
- `tls.py` and `token.py` have the credentials, and `reloading.py` replaces them while a channel is open.
- `interceptor.py` is the base of interceptors. `propagation.py` passes on deadline, request id and
  cancellation of the call being served; `observer.py` is the base of `tracing.py` and `metrics.py`.
"""
