"""The approvers' page: one screen for one case, plain forms, no need of a script; all act by their own Vault token.

    sessions    who is logged in here: kept in this process's memory, bound to a Vault token
    guard       what every answer and every form must carry: headers, host, origin, CSRF token
    logins      by OpenID Connect through Vault, or by a token of the identity provider
    app         the pages

It shows what `narrowgate.approvals.present` says, and decides nothing: Vault and the library do.
"""
