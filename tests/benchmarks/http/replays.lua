-- The same request again and again.
wrk.method = "POST"
wrk.body = '{"order":"order-1001","amount":450,"currency":"EUR"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Idempotency-Key"] = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
