// A text has no status: whether the payment succeeded could only be guessed.
// expect: returns http::Response or PaymentResult<http::Response>
#include <paidonce/http/responder.hpp>
#include <paidonce/paidonce.hpp>

using namespace paidonce;

void answer(http::Responder<IdempotencyGuard<MemoryStore>>& responder, const http::Request& request) {
#ifdef FIXED
  (void)responder.answer(http::Tenant("shop"), request, [] { return http::Response{201, {}, "paid"}; });
#else
  (void)responder.answer(http::Tenant("shop"), request, [] { return "paid"; });
#endif
}
