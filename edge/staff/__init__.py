"""The staff page: server-rendered, live by server-sent events, nothing loaded from outside the box.

People sign in with a PIN and see the wall of labels, sales, pickups, prices and the line to the hub; every action is a
plain form. This room shows what other rooms know and asks them to act; it decides nothing about prices, stock or
pickups (staff-and-operations.md section A; DESIGN.md section 8). The daemon builds a `routes.StaffPage`.
"""
