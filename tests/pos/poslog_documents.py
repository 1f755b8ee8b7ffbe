"""POSLog documents of our own, in the shapes that makers write (retail.md 1.1)."""

V6, NCR = "http://www.nrf-arts.org/IXRetail/namespace/", "http://www.ncr.com/rsd/acs/tlog/markup/poslog/2.1"
DAY = "2026-11-23"


def document(*transactions: str, namespace: str = V6) -> str:
    """A whole log."""
    return f'<?xml version="1.0"?><POSLog xmlns="{namespace}" xmlns:acs="{NCR}">{"".join(transactions)}</POSLog>'


def transaction(sequence: int, *lines: str, till: str = "1", day: str = DAY, status: str = "", attributes: str = "",
                link: str = "", ended: str = f"{DAY}T17:03:11", body: str = "RetailTransaction") -> str:
    """One transaction with its header."""
    state = f' TransactionStatus="{status}"' if status else ""
    return (f"<Transaction {attributes}><RetailStoreID>9</RetailStoreID><WorkstationID>{till}</WorkstationID>"
            f"<SequenceNumber>{sequence}</SequenceNumber><BusinessDayDate>{day}</BusinessDayDate>"
            f"<EndDateTime>{ended}</EndDateTime><OperatorID OperatorName=\"A. Name\">91</OperatorID>"
            f"<CurrencyCode>EUR</CurrencyCode><{body}{state}>{link}{''.join(lines)}"
            f"<Total TotalType=\"TransactionGrandAmount\">1.98</Total></{body}></Transaction>")


def sale(number: int, code: str, amount: str, quantity: str = "1", *, kind: str = "Sale", flags: str = "") -> str:
    """A line of merchandise."""
    return (f"<LineItem {flags}><SequenceNumber>{number}</SequenceNumber><{kind} ItemType=\"Stock\">"
            f"<POSIdentity POSIDType=\"GTIN\"><POSItemID>{code}</POSItemID></POSIdentity><ItemID>{code}</ItemID>"
            f"<Description>MILK</Description><RegularSalesUnitPrice>0.99</RegularSalesUnitPrice>"
            f"<ExtendedAmount>{amount}</ExtendedAmount><Quantity>{quantity}</Quantity></{kind}></LineItem>")


def other(number: int, name: str, inner: str = "") -> str:
    """A line that is no merchandise."""
    return f"<LineItem><SequenceNumber>{number}</SequenceNumber><{name}>{inner}</{name}></LineItem>"


def voids(sequence: int) -> str:
    """A link to what is taken back."""
    return f'<TransactionLink ReasonCode="Voided"><SequenceNumber>{sequence}</SequenceNumber></TransactionLink>'
