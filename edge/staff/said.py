"""What other rooms say, in the person's language: their states as words, their sentences by pattern.

Desks, planner and health speak English, because machines and logs read them too. A sentence that stands here is said
in the person's language; one that does not is shown as it came. `tests/staff/test_words.py` holds the patterns against
what the rooms really say.
"""

import re
from enum import Enum

from markupsafe import Markup

from edge.staff.words import Words, marked

TITLES: dict[str, str] = {
    # labels (edge.staff.label_index.Standing)
    "failed": marked("Failed"),
    "queued": marked("Queued"),
    "on air": marked("On air"),
    "shown": marked("Shown"),
    "excluded": marked("Excluded"),
    "unbound": marked("Not bound"),
    # pickups (cloud_sync.contract.pickup.PickupState)
    "placed": marked("Placed"),
    "accepted": marked("To pick"),
    "picking": marked("Being picked"),
    "staged": marked("Put aside"),
    "ready": marked("Ready"),
    "handed_over": marked("Handed over"),
    "rejected": marked("Rejected"),
    "cancelled": marked("Cancelled"),
    "awaiting_substitution": marked("Waits for the customer's answer"),
    "partially_handed_over": marked("Partly handed over"),
    "expired": marked("Not collected in time"),
    "no_show": marked("Nobody came"),
    "refused": marked("Refused at the desk"),
    "reassigned": marked("Given to another store"),
    # what became of a substitute (edge.staff.orders)
    "substitute-offered": marked("Instead of another; the customer has not answered"),
    "substitute-accepted": marked("Instead of another, as the customer wishes"),
    "substitute-declined": marked("The customer does not want it instead"),
    # why goods do not come (cloud_sync.contract.pickup.ShortReason)
    "not_in_stock": marked("The shelf is empty"),
    "mismatch": marked("Fewer than the book says"),
    "damaged": marked("Damaged"),
    "worn_display": marked("Worn on display"),
    "no_variance": marked("There, but not for this order"),
    # what becomes of goods in quarantine (cloud_sync.contract.returns.Grade)
    "sellable": marked("As new, back on sale"),
    "reduced": marked("On sale, reduced"),
    "waste": marked("Waste"),
    "supplier": marked("Back to its supplier"),
    # parcels (cloud_sync.contract.parcels.ParcelState)
    "packed": marked("Packed"),
    "handed": marked("With the carrier"),
    "unpacked": marked("Unpacked"),
    # base stations (drivers.port.StationState)
    "offline": marked("Offline"),
    "connected": marked("Connected"),
    "connecting": marked("Connecting"),
    "degraded": marked("Troubled"),
    # transactions and their lines (cloud_sync.contract.facts)
    "sale": marked("Sale"),
    "return": marked("Return"),
    "void": marked("Void"),
    # why a person should look (cloud_sync.contract.facts.Flag and the reasons beside it)
    "unknown-item": marked("Unknown product sold"),
    "zero-quantity": marked("Quantity of zero"),
    "negative-quantity": marked("Negative quantity"),
    "odd-quantity": marked("Odd quantity"),
    "total-differs": marked("Total differs from the lines"),
    "overcharged": marked("Charged more than the shelf"),
    "clock-untrusted": marked("Clock not believed"),
    "void-before-original": marked("Void came before its sale"),
    "already-voided": marked("Voided twice"),
    "voids-no-sale": marked("Void of what was no sale"),
    "voided-first": marked("Voided before it came"),
    "available-below-zero": marked("Sold below what orders were promised"),
    "inventory-control": marked("Goods moved at a till"),
    "negative-stock": marked("Fewer than none by the book"),
    "count-uncertain": marked("Sold about when it was counted"),
    "early": marked("Sales dated in the future"),
    "late": marked("Sales that came in late"),
    "contradictory": marked("Sales whose times contradict"),
    "conflict": marked("Sent twice with different meaning"),
    "till-close-differs": marked("Till's day differs"),
    "till-gap": marked("Sales missing since a restore"),
    "late-cancel": marked("Cancelled too late"),
    "left-after-end": marked("Handed over after its end"),
    "return-voided": marked("A return was voided at a till"),
    "return-beyond-order": marked("More came back than left from here"),
    "sign-in-locked": marked("Sign-in locked"),
    # roles (edge.pos.access.Role)
    "staff": marked("Staff"),
    "supervisor": marked("Supervisor"),
    "technician": marked("Technician"),
    # what a fence is for (cloud_sync.client.link_state.FenceReason)
    "fork": marked("Two boxes run as this store"),
    "ahead": marked("This box was restored from a backup"),
    "pruned": marked("The hub lacks old entries"),
    "superseded": marked("Another box was enrolled for this store"),
    "twin": marked("This box runs twice"),
    "broken": marked("The ledgers do not fit together"),
}
"""The words of codes that other rooms use."""

_SENTENCES = (
    # edge.pos.label_routes, edge.labels.bindings
    (r"no product under '(?P<code>.*)' in the catalogue", marked("No product has the code %(code)s.")),
    (r"an exclusion needs a reason", marked("Say why the label does not count.")),
    (r"voiding a claim needs a reason", marked("Say why this price does not count.")),
    (r"label (?P<label>\S+) has no claim of \d+ \(minor units\) for (?P<sku>\S+)",
     marked("Label %(label)s no longer stands for this price.")),
    (r"no base station has heard a label (?P<label>\S+)", marked("No base station has heard label %(label)s.")),
    (r"label (?P<label>\S+) has no base station", marked("Label %(label)s has no base station.")),
    (r"label (?P<label>\S+) has no LED", marked("Label %(label)s has no light.")),
    (r"label (?P<label>\S+) hangs under (?P<sku>\S+): it must hear of its prices",
     marked("Label %(label)s hangs under a product: it must hear of its prices.")),
    (r"label (?P<label>\S+) is not adopted by (?P<station>\S+)",
     marked("Label %(label)s is not served by base station %(station)s yet.")),
    # edge.labels.planner, edge.labels.wanted, edge.labels.render
    (r"waits (for its base station|to be heard), or for a price",
     marked("Waits for its base station, or for a price.")),
    (r"base station (?P<station>\S+) is (?P<state>\w+)",
     marked("Base station %(station)s does not answer (%(state)s): check its cable and power.")),
    (r"product (?P<sku>\S+) is not in the catalogue", marked("Product %(sku)s is not in the catalogue.")),
    (r"product (?P<sku>\S+) has no list price", marked("Product %(sku)s has no list price.")),
    (r"(?P<sku>\S+) has no list price now", marked("Product %(sku)s has no list price.")),
    (r"template '(?P<name>.*)' has no layout for (?P<size>\S+) .*",
     marked("There is no layout for labels of %(size)s.")),
    (r"(?P<sku>.*): the (unit )?price (?P<price>.*) does not fit into (?P<size>\S+) pixels",
     marked("The price %(price)s does not fit on this label.")),
    (r"(?P<sku>\S+): (the former price )?(?P<text>.*) does not fit into (?P<size>\S+) pixels",
     marked("“%(text)s” does not fit on this label.")),
    # drivers.paper, edge.pos.label_routes
    (r"this store has no station for paper tags; .*", marked("This store has no paper tags.")),
    (r"this is not the code of a paper tag; .*",
     marked("That is not the code of a paper tag: scan the small code beside its picture.")),
    (r"this store did not print tag (?P<label>\S+) so; print it again",
     marked("Tag %(label)s was not printed like this: print it again.")),
    (r"Till (?P<till>\S+) keeps an old price book", marked("Till %(till)s keeps an old price book.")),
    (r"It may charge more than the shelf shows: check its line, or let it load the book again\.",
     marked("It may charge more than the shelf shows: check its line, or let it load the book again.")),
    (r"(?P<number>\d+) labels do not say what tills charge, (?P<label>\S+) among them",
     marked("Labels that do not say what tills charge: %(number)s, %(label)s among them.")),
    (r"Look at them on the shelf: each is brought up to date, replaced or excluded\. Compared again every hour\.",
     marked("Look at them on the shelf: bring each up to date, replace or exclude it. Compared again every hour.")),
    (r"(?P<number>\d+) paper tags wait to be printed and hung, (?P<label>\S+) among them",
     marked("Paper tags wait to be printed and hung: %(number)s, %(label)s among them.")),
    (r"Print them on the page 'paper tags', hang them, and scan each\.",
     marked("Print them on the page “Paper tags”, hang them, and scan each.")),
    (r"(?P<sku>.*): the bars of (?P<code>\S+) do not fit into .*", marked("The bar code does not fit on this label.")),
    (r"label (?P<label>\S+) holds (?P<number>\d+) unproven claims",
     marked("Too many pictures wait for a proof from this label.")),
    # drivers.openepaperlink
    (r"the label did not fetch it in time", marked("The label did not fetch its picture in time.")),
    (r"the radio has no free slot", marked("The base station has no free place for it.")),
    (r"the radio keeps hearing a wrong checksum", marked("The line to the base station is disturbed.")),
    # edge.domain.pricing.guard, edge.prices.guard_desk
    (r"(?P<moved>\d+) of (?P<priced>\d+) prices would move at once",
     marked("%(moved)s of %(priced)s prices would change at once.")),
    (r"(?P<moved>\d+) prices would move beyond the guard, such as (?P<sku>\S+) from (?P<before>-?\d+) "
     r"to (?P<after>-?\d+) \(minor units\)",
     marked("%(moved)s prices would change by more than is allowed without asking.")),
    # edge.prices.local_prices, edge.health.folder_checks
    (r"a whole price list would take (?P<gone>\d+) of (?P<count>\d+) products out of its book",
     marked("A whole price list would take %(gone)s of %(count)s products out of its book: it may have been cut off.")),
    (r"Hot folder (?P<folder>\S+) waits: .*", marked("The folder %(folder)s cannot be read or written.")),
    (r"Check that the directory is there and may be written by the store\.",
     marked("Check that the directory is there and may be written by the store.")),
    (r"Hot folder (?P<folder>\S+): (?P<number>\d+) files could not be taken in whole",
     marked("Folder %(folder)s: %(number)s files could not be taken in whole.")),
    (r"Read the \.err files in (?P<place>.+), mend the files and put them into inbox again, or delete them\.",
     marked("Read the .err files in %(place)s, mend the files and put them into inbox again, or delete them.")),
    (r"Prices of the local price book (?P<book>\S+) are in force, and no hot folder feeds it",
     marked("Prices of the local price book %(book)s are in force, and no folder feeds it.")),
    (r"Name the folder (?P<book>\S+) in hot_folders again; to end its prices, put in a file that takes them out, and "
     r"leave the folder out only then\.",
     marked("Name %(book)s in hot_folders again; to end its prices, put in a file that takes them out first.")),
    (r"this batch is no longer held; reload the page", marked("This batch is no longer held.")),
    # edge.pickups.desk
    (r"no order (?P<order>\S+) in this store", marked("There is no order %(order)s in this store.")),
    (r"order (?P<order>\S+) is (?P<state>\w+): it cannot .* now",
     marked("Order %(order)s is now “%(state)s”: this step does not follow.")),
    (r"order (?P<order>\S+) has nothing left to pick.*",
     marked("This line of order %(order)s is picked already.")),
    (r"order (?P<order>\S+) has nothing there that goes back",
     marked("Order %(order)s: there is nothing to put back.")),
    (r"order (?P<order>\S+) has nothing to hand over", marked("Order %(order)s: there is nothing to hand over.")),
    (r"order (?P<order>\S+) has nothing there that could be missing",
     marked("Order %(order)s: nothing of this is still to come.")),
    (r"order (?P<order>\S+): the customer has not answered about line (?P<line>\d+)",
     marked("Order %(order)s: the customer has not answered about line %(line)s.")),
    (r"order (?P<order>\S+): the customer is here", marked("Order %(order)s: the customer is here.")),
    (r"order (?P<order>\S+) has changed: look at it again", marked("Order %(order)s has changed: look at it again.")),
    (r"order (?P<order>\S+): pick line (?P<lines>.+) first", marked("Order %(order)s: pick line %(lines)s first.")),
    (r"order (?P<order>\S+): (?P<number>\d+) wrong codes; ask a supervisor",
     marked("Order %(order)s: %(number)s wrong codes. Ask a supervisor.")),
    (r"wrong code for order (?P<order>\S+); 0 attempts left",
     marked("Wrong code for order %(order)s. That was the last attempt: ask a supervisor.")),
    (r"wrong code for order (?P<order>\S+); 1 attempts left",
     marked("Wrong code for order %(order)s; one attempt left.")),
    (r"wrong code for order (?P<order>\S+); (?P<number>\d+) attempts left",
     marked("Wrong code for order %(order)s; %(number)s attempts left.")),
    # edge.stock
    (r"this id was sent before with another meaning",
     marked("This form was sent before with something else in it. Open the page again.")),
    (r"the count of (?P<sku>.+) does not wait any more", marked("Somebody decided this count already.")),
    (r"nothing of (?P<sku>.+) was counted under .*", marked("Nobody counted %(sku)s.")),
    (r"there is no (count|delivery) (?P<name>.+)", marked("There is no “%(name)s” in this store.")),
    (r"the count (?P<name>.+) (has ended|was given up)", marked("This count has ended.")),
    (r"the count (?P<name>.+) has too many scans: end it and begin another",
     marked("This count has too many scans: end it and begin another.")),
    (r"nothing was counted", marked("Nothing was counted yet.")),
    (r"(?P<sku>.+) was taken back more often than it was counted: count it again",
     marked("%(sku)s was taken back more often than it was counted: count it again.")),
    (r"too many count sessions are open: end some first", marked("Too many counts are under way: end some first.")),
    (r"delivery (?P<name>.+) is closed", marked("This delivery is closed.")),
    (r"nothing of delivery (?P<name>.+) is missing", marked("Nothing of this delivery is missing.")),
    (r"of (?P<sku>.+) fewer than none would have come in, or more be damaged than came",
     marked("More of %(sku)s cannot be taken back than came in.")),
    (r"so much is for a supervisor to adjust", marked("So much is for a supervisor to adjust.")),
    (r"nothing leaks", marked("The book keeps for orders what they want.")),
    (r"the store takes its history back: what orders reserve is not known yet",
     marked("The store takes its history back: try again when that is over.")),
    # edge.health.stock_checks
    (r"(?P<number>\d+) differences of counts wait for a supervisor",
     marked("Differences of counts that wait for a supervisor: %(number)s.")),
    (r"A supervisor approves each or has it counted again, on the page 'stock'\.",
     marked("A supervisor lets each stand or has it counted again.")),
    (r"(?P<number>\d+) items are kept for orders that do not want them, or the other way round, (?P<sku>.+) among them",
     marked("Products that the book keeps wrongly for orders: %(number)s, %(sku)s among them.")),
    (r"A supervisor has it put right on the page 'stock'; call support if it comes back\.",
     marked("A supervisor puts it right; call support if it comes back.")),
    # edge.pickups.returns
    (r"order (?P<order>.+): so much of (?P<sku>.+) did not leave from here, or is back already",
     marked("Order %(order)s: so much of this did not leave from here, or is back already.")),
    (r"nothing of line (?P<line>\d+) of order (?P<order>.+) left from here",
     marked("Nothing of this line of order %(order)s left from here.")),
    (r"order (?P<order>.+) did not leave from this store: say which product comes back",
     marked("Order %(order)s did not leave from here: scan the product that comes back.")),
    (r"this is no order's number; it may be that of a card", marked("This is no order's number.")),
    (r"(?P<sku>.+): (?P<number>\d+) thousandths wait to be graded, not more",
     marked("So much of this does not wait to be graded.")),
    # edge.pickups.parcels, cloud_sync.contract.parcels
    (r"order (?P<order>\S+) is sent by a carrier: .*", marked("Order %(order)s is sent by a carrier.")),
    (r"order (?P<order>\S+) is collected, not sent", marked("Order %(order)s is collected, not sent.")),
    (r"parcel (?P<number>\d+) of order (?P<order>\S+) is (?P<state>\w+)",
     marked("Parcel %(number)s of order %(order)s is now “%(state)s”.")),
    (r"parcel (?P<number>\d+) of order (?P<order>\S+) has no label yet",
     marked("Parcel %(number)s of order %(order)s has no label yet.")),
    (r"order (?P<order>\S+) is (?P<state>\w+): unpack its parcels",
     marked("Order %(order)s is now “%(state)s”: unpack its parcels.")),
    (r"order (?P<order>\S+) is (?P<state>\w+): there is nothing to pack",
     marked("Order %(order)s is now “%(state)s”: there is nothing to pack.")),
    (r"order (?P<order>\S+): unpack its parcels first", marked("Order %(order)s: unpack its parcels first.")),
    (r"order (?P<order>\S+): so much of line \d+ does not wait to be packed",
     marked("Order %(order)s: so much does not wait to be packed.")),
    (r"order (?P<order>\S+): say what is in the parcel, each line once",
     marked("Order %(order)s: say what is in the parcel.")),
    (r"a parcel weighs between 1 and (?P<most>\d+) g", marked("A parcel weighs between 1 and %(most)s g.")),
    (r"a label needs its carrier", marked("Say which carrier takes it.")),
    (r"this is no tracking number.*", marked("This is no tracking number.")),
    (r"wrong digits for order (?P<order>\S+); 0 attempts left",
     marked("Wrong digits for order %(order)s. That was the last attempt: ask a supervisor.")),
    (r"wrong digits for order (?P<order>\S+); (?P<number>\d+) attempts left",
     marked("Wrong digits for order %(order)s; attempts left: %(number)s.")),
    (r"order (?P<order>\S+): no telephone number is known; ask a supervisor",
     marked("Order %(order)s: no telephone number is known. Ask a supervisor.")),
    (r"a hand-over without a code needs a reason", marked("Say why it goes without its code.")),
    (r"order (?P<order>\S+): there is less than that on line (?P<line>\d+)",
     marked("Order %(order)s: there is less than that on line %(line)s.")),
    (r"order (?P<order>\S+): the customer wants nothing else for line (?P<line>\d+)",
     marked("Order %(order)s: the customer wants nothing else for line %(line)s.")),
    (r"order (?P<order>\S+): a substitute is neither dearer nor more than what it stands for",
     marked("Order %(order)s: what comes instead may not be dearer, nor more.")),
    (r"not available: (?P<sku>.+)", marked("There is not enough of %(sku)s in stock.")),
    # edge.pickups.picking_desk
    (r"order (?P<order>\S+) is not confirmed to this store yet",
     marked("Do not pick order %(order)s yet: the hub has not confirmed it to this store.")),
    (r"no order is to be picked", marked("No order is to be picked.")),
    (r"(?P<number>\d+) orders are on this list already",
     marked("There are %(number)s orders on this list already: pick them first.")),
    (r"(?P<sku>\S+) cannot come instead", marked("Product %(sku)s cannot come instead.")),
    (r"no more than \d+ of (?P<sku>\S+) can be missing",
     marked("There are not so many of %(sku)s on this list.")),
    (r"nothing more of (?P<sku>\S+) is wanted", marked("Product %(sku)s is picked already: put it back.")),
    (r"(?P<sku>\S+) is not on this list", marked("Product %(sku)s is not on this list: put it back.")),
    # edge.labels.bindings: an act id is minted for one form
    (r"act \S+ was carried out before and meant something else; mint another id",
     marked("This form was sent before with something else in it. Open the page again.")),
    # edge.db.writer
    (r"not stored, keep it and send again: .*", marked("Nothing was stored just now. Try again in a moment.")),
    (r"the database can no longer be written: .*",
     marked("The box can no longer store anything: call support. Tills keep their sales.")),
    # edge.staff.sign_in
    (r"too many people sign in at this moment", marked("Too many people sign in at this moment. Try again.")),
    # edge.health.checks
    (r"The hub does not take this store's facts: (?P<detail>.*)",
     marked("The hub does not take this store's facts: %(detail)s")),
    (r"Call support: two boxes may run as this store\. Keep selling, nothing is lost\.",
     marked("Call support: two boxes may run as this store. Keep selling, nothing is lost.")),
    (r"The hub lost entries of this store that are no longer kept here: (?P<first>\d+) to (?P<last>\d+)",
     marked("The hub lost facts of this store that are no longer kept here: %(first)s to %(last)s.")),
    (r"Call support: the hub needs a newer backup, or this store a new epoch\. Keep selling; later facts are kept here "
     r"until then\.", marked("Call support. Keep selling; later facts are kept here until then.")),
    (r"The box's disk is full: (?P<mib>\d+) MiB left", marked("The box's disk is full: %(mib)s MiB left.")),
    (r"Tills may ask prices and must keep their sales\. Make room on the disk or call support; the store goes on by "
     r"itself\.", marked("Call support: the disk needs room. Prices can be asked; tills keep their sales and send them "
                         "again by themselves.")),
    (r"The box's disk fills up: (?P<mib>\d+) MiB left", marked("The box's disk fills up: %(mib)s MiB left.")),
    (r"Make room on the disk or call support\. Sales go on; what matters less is no longer written\.",
     marked("Call support: the disk needs room. Sales go on.")),
    (r"(?P<name>\w+)\.db is being read for very long", marked("Something has been reading %(name)s.db for very long.")),
    (r"Its write-ahead log cannot be emptied meanwhile\. End the program that reads it, such as a database shell\.",
     marked("Call support: a program on the box has to be ended.")),
    (r"No line to the hub: not reached yet", marked("No line to the hub yet.")),
    (r"No line to the hub: (?P<detail>.*)", marked("No line to the hub: %(detail)s")),
    (r"Keep selling; (?P<number>\d+) facts wait and are sent when the line is back\.",
     marked("Keep selling; %(number)s facts wait and are sent when the line is back.")),
    (r"Base station (?P<station>\S+) is (?P<state>\w+)",
     marked("Base station %(station)s does not answer (%(state)s).")),
    (r"Check its cable and power; labels wait until it answers\.",
     marked("Check its cable and power; labels wait until it answers.")),
    (r"(?P<number>\d+) labels could not be brought up to date",
     marked("Labels that could not be brought up to date: %(number)s.")),
    (r"(?P<number>\d+) labels have a low battery, (?P<label>\S+) among them",
     marked("Labels with a low battery: %(number)s, %(label)s among them.")),
    (r"Replace their batteries within the next weeks\.", marked("Replace their batteries within the next weeks.")),
    (r"(?P<number>\d+) labels were not heard for (?P<hours>\d+) hours, (?P<label>\S+) among them",
     marked("Labels not heard for %(hours)s hours: %(number)s, %(label)s among them.")),
    (r"Look at them on the shelf: a label that is gone or broken has to be excluded or replaced\.",
     marked("Look at them on the shelf: a label that is gone or broken has to be excluded or replaced.")),
    (r"Open the wall, filter by failed, and look at each reason\.", marked("Look at the reason of each.")),
    (r"(?P<number>\d+) prices are held low by labels that do not change, (?P<sku>.+) by label (?P<label>\S+) the "
     r"longest",
     marked("Prices held low by labels that do not change: %(number)s, %(sku)s by label %(label)s the longest.")),
    (r"Look at that label on its shelf, and at the others that the report of holds names: one that is gone or broken "
     r"has to be excluded, and the price rises after that\.",
     marked("Look at these labels on their shelves: one that is gone or broken has to be excluded, and the price rises "
            "after that.")),
    (r"(?P<number>\d+) price batches are held: .*", marked("Price batches that wait for a person: %(number)s.")),
    (r"A supervisor approves or drops them on the page 'held prices'\.",
     marked("A supervisor approves or drops them.")),
    (r"(?P<number>\d+) exceptions wait for a person", marked("Exceptions that wait for a person: %(number)s.")),
    (r"Open the list of exceptions and decide each\.", marked("Look at each.")),
    (r"The box's clock cannot be believed", marked("The box's clock cannot be believed.")),
    (r"Check time synchronisation; until then price increases wait\.",
     marked("Check time synchronisation; until then price increases wait.")),
    # edge.health.till_checks
    (r"Till (?P<till>.+)'s clock is (?P<span>[\d dhmin]+) ahead", marked("Till %(till)s's clock is %(span)s ahead.")),
    (r"Till (?P<till>.+)'s clock is (?P<span>[\d dhmin]+) behind",
     marked("Till %(till)s's clock is %(span)s behind.")),
    (r"Set the till's clock, or let it follow a time server\. Its sales count, and are judged by the right time\.",
     marked("Set the till's clock, or let it follow a time server. Its sales count, and are judged by the right "
            "time.")),
    (r"(?P<address>\S+) speaks without TLS on the shop's network",
     marked("%(address)s speaks without encryption on the shop's network.")),
    (r"Give the listener a certificate and a key in the settings\.",
     marked("Give the listener a certificate and a key in the settings.")),
    (r"(?P<part>.*) was given up: (?P<detail>.*)", marked("The part “%(part)s” was given up: %(detail)s")),
    (r"(?P<part>.*) failed: (?P<detail>.*)", marked("The part “%(part)s” failed: %(detail)s")),
    (r"It is tried again by itself; if it stays, see the journal\.",
     marked("It is tried again by itself; if it stays, call support.")),
    (r"(?P<part>.*) stands still for (?P<seconds>\d+) s",
     marked("“%(part)s” has stood still for %(seconds)s seconds.")),
    (r"systemd is about to restart the store; if this comes back, call support\.",
     marked("The store is about to restart by itself; if this comes back, call support.")),
    (r"See the journal, then restart the service\.", marked("See the journal, then restart the service.")),
)
SENTENCES = tuple((re.compile(pattern, re.DOTALL), message) for pattern, message in _SENTENCES)
"""Patterns of whole sentences and how they are said; a group named `state` is a code of `TITLES`."""


def title_of(value: object, words: Words) -> str:
    """The word for a state, role or reason; the code itself for one that has none."""
    code = str(value.value) if isinstance(value, Enum) else str(value)
    return words.say(TITLES[code]) if code in TITLES else code


def in_words(sentence: str, words: Words) -> str:
    """The sentence of another room in the person's language; as it came when it is not known here."""
    return _known(sentence, words) or sentence


def in_words_or_english(sentence: str, words: Words) -> str:
    """The same for a page, where a sentence that stays English is marked as English for whoever has it read aloud."""
    known = _known(sentence, words)
    return known if known is not None else Markup('<span lang="en">{}</span>').format(sentence)


def _known(sentence: str, words: Words) -> str | None:
    for pattern, message in SENTENCES:
        match = pattern.fullmatch(sentence)
        if match is not None:
            values = match.groupdict()
            if "state" in values:
                values["state"] = title_of(values["state"], words).lower()
            return words.say(message, **values)
    return None
