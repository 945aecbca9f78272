#pragma once
// How this program shows times and numbers.

#include "time_text.hpp"

namespace paidonce_admin {

using common::hex_of;
using common::text_of;

}  // namespace paidonce_admin
