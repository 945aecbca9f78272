# Compares the ledger of the gateway with the report of pay_orders, order by order and to the cent. The first $before
# lines of the ledger were there before this run.
# Prints a table, a line for each order that is not as it should be, and "agreed" when there is none.

def state:  # of an order, of all that its lines were told
  [.[].status] as $told
  | if any($told[]; . == "paid") then "paid"
    elif any($told[]; . == "declined") then "declined"
    elif any($told[]; . == "in_doubt" or . == "in_progress") then "in_doubt"
    elif any($told[]; . == "not_executed") then "not_paid"
    else "turned_away" end;  # which says nothing of earlier runs

def padded($width): tostring | . + (" " * ([0, $width - length] | max));

($report[0].lines | group_by(.order_id) | map({key: .[0].order_id, value: state}) | from_entries) as $told
| [$ledger | to_entries[] | .key as $at | .value.charge | select(.status == "succeeded")
   | {order: .metadata.order, currency: (.currency | ascii_upcase), amount, now: ($at >= $before)}] as $all
| [$all[] | select(.now or ($told[.order] // "turned_away") != "turned_away")] as $charges
| (reduce $all[] as $charge ({}; .[$charge.order] += [$charge])) as $charged
| [$report[0].totals[]
   | . as $total
   | ([$charges[] | select(.currency == $total.currency)]) as $here
   | ([$here[] | select($told[.order] == "in_doubt")]) as $found
   | {currency, charges: ($here | length), amount: ($here | map(.amount) | add // 0),
      orders: .paid.orders, paid: (.paid.minor_units | tonumber),
      doubt: .in_doubt.orders, found: ($found | map(.amount) | add // 0)}] as $rows
| "currency  ledger (charges)        paid (orders)           in doubt (orders, of them charged)",
  ($rows[] | (.currency | padded(10)) + ("\(.amount) (\(.charges))" | padded(24)) + ("\(.paid) (\(.orders))" | padded(24))
             + "\(.doubt), \(.found)"),
  (if any($all[]; .now | not) then
     "of these charges, earlier runs made \([$charges[] | select(.now | not)] | length), and this one \([$charges[] | select(.now)] | length)"
   else empty end),
  (($all | length) - ($charges | length)
   | if . > 0 then "earlier runs also made \(.) charges for what this input does not ask for" else empty end),
  ([($rows[] | select(.amount != .paid + .found)
      | "totals of \(.currency) differ: the ledger has \(.amount), pay_orders says \(.paid), and \(.found) in doubt were charged"),
    ($told | to_entries[] | (.key) as $order | ($charged[$order] // []) as $its | ($its | length) as $times
      | if .value == "paid" then select($times != 1)
        elif .value == "in_doubt" then select($times > 1)
        elif .value == "turned_away" then select($times > 1 or any($its[]; .now))
        else select($times != 0) end
      | "order \($order) is \(.value) and was charged \($times) times"),
    ($charged | to_entries[] | select($told[.key] == null and (any(.value[]; .now) or (.value | length) > 1))
      | "order \(.key) was charged \(.value | length) times, and pay_orders does not know it")]
   | if length == 0 then "agreed" else .[] end)
