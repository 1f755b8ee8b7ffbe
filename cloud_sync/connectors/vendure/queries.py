"""The GraphQL documents of this connector (Vendure 3.7, admin API). Every mutation stands under the alias `result`."""

_ERROR = "... on ErrorResult { errorCode message }"
_OUTCOME = f"__typename ... on Order {{ id state totalWithTax }} {_ERROR}"
_TRANSITION = "... on OrderStateTransitionError { transitionError }"

LOGIN = """mutation Login($username: String!, $password: String!) {
  login(username: $username, password: $password) { ... on ErrorResult { errorCode } }
}"""

LOCATIONS = """query Locations($skip: Int!) {
  stockLocations(options: { take: 100, skip: $skip }) { items { id name } totalItems }
}"""


def variants(gtin_field: str | None) -> str:
    """Variants by id; `gtin_field`: a custom field that is asked for as well."""
    custom = f"customFields {{ gtin: {gtin_field} }}" if gtin_field else ""
    return f"""query Variants($skip: Int!, $take: Int!) {{
  productVariants(options: {{ skip: $skip, take: $take, sort: {{ id: ASC }} }}) {{
    items {{ id sku name price priceWithTax currencyCode {custom} }}
    totalItems
  }}
}}"""


STOCK = """query Stock($skus: [String!]!, $take: Int!) {
  productVariants(options: { take: $take, filter: { sku: { in: $skus } }, sort: { id: ASC } }) {
    items { id sku stockLevels { stockLocationId stockOnHand stockAllocated } }
    totalItems
  }
}"""

SET_STOCK = """mutation SetStock($input: [UpdateProductVariantInput!]!) {
  result: updateProductVariants(input: $input) { id }
}"""

_ORDER = """id code state active updatedAt orderPlacedAt currencyCode totalWithTax nextStates
  customer { firstName lastName }
  shippingAddress { phoneNumber }
  shippingLines { shippingMethod { code } }
  lines { id quantity orderPlacedQuantity proratedUnitPriceWithTax taxRate productVariant { id sku } }
  fulfillments { id state trackingCode lines { orderLineId quantity } }
  payments { id amount state refunds { id total state reason } }"""

ORDERS = f"""query Orders($after: DateTime!, $skip: Int!, $take: Int!) {{
  orders(options: {{ skip: $skip, take: $take, sort: {{ updatedAt: ASC }},
                     filter: {{ active: {{ eq: false }}, updatedAt: {{ after: $after }} }} }}) {{
    items {{ {_ORDER} }}
    totalItems
  }}
}}"""

ORDER = f"query Order($id: ID!) {{ order(id: $id) {{ {_ORDER} }} }}"

NOTES = """query Notes($id: ID!) {
  order(id: $id) { history(options: { take: 100, filter: { type: { eq: "ORDER_NOTE" } } }) { items { data } } }
}"""

ADD_NOTE = """mutation AddNote($id: ID!, $note: String!) {
  result: addNoteToOrder(input: { id: $id, note: $note, isPublic: true }) { __typename id state }
}"""

CANCEL = f"""mutation Cancel($input: CancelOrderInput!) {{
  result: cancelOrder(input: $input) {{ {_OUTCOME} {_TRANSITION} }}
}}"""

REFUND = f"""mutation Refund($input: RefundOrderInput!) {{
  result: refundOrder(input: $input) {{ __typename ... on Refund {{ id state }} {_ERROR} }}
}}"""

SETTLE_REFUND = f"""mutation SettleRefund($input: SettleRefundInput!) {{
  result: settleRefund(input: $input) {{ __typename ... on Refund {{ id state }} {_ERROR} }}
}}"""

TRANSITION = f"""mutation Transition($id: ID!, $state: String!) {{
  result: transitionOrderToState(id: $id, state: $state) {{ {_OUTCOME} {_TRANSITION} }}
}}"""

MODIFY = f"""mutation Modify($input: ModifyOrderInput!) {{
  result: modifyOrder(input: $input) {{ {_OUTCOME} }}
}}"""

FULFIL = f"""mutation Fulfil($input: FulfillOrderInput!) {{
  result: addFulfillmentToOrder(input: $input) {{ __typename ... on Fulfillment {{ id state }} {_ERROR} }}
}}"""

DELIVER = """mutation Deliver($id: ID!) {
  result: transitionFulfillmentToState(id: $id, state: "Delivered") {
    __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message }
    ... on FulfillmentStateTransitionError { transitionError }
  }
}"""
