"""A small Microsoft Graph v1.0 on this machine: profile, mail, calendar and To Do of sample people. Never deployed.

routes      every path with its methods and permissions
endpoint    what each request goes through: token, permission, fault, work, journal
errors      refusals in Graph's words
odata       $filter, $orderby, $select, $top, $skip and pages
data        what the people's mailboxes, calendars and lists hold: mailbox, calendar, todo_lists
"""
