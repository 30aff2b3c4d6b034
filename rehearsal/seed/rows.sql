-- Invented people, companies and accounts; addresses end in .example, accounts fail their checksum.
INSERT INTO incidents (tenant, title, severity, status, opened_at, summary, customer_email, resolution, closed_at) VALUES
('emea', 'Card payments time out at checkout', 'sev1', 'open', '2026-11-23 06:12:00+00',
 'p99 of /pay rose from 300 ms to 9 s after release 2026.47; the payment provider reports no fault.',
 'ines.moreau@boutique-lumiere.example', NULL, NULL),
('emea', 'Refunds are stuck in state pending', 'sev2', 'open', '2026-11-22 14:40:00+00',
 'The refund worker stopped consuming after its queue credentials were rotated. 412 refunds wait.',
 'k.lindqvist@norrhandel.example', NULL, NULL),
('emea', 'Invoices show the wrong VAT rate for Austria', 'sev3', 'open', '2026-11-21 09:05:00+00',
 'Orders since 20 November carry 19 % instead of 20 %. Finance keeps the list of the orders concerned.',
 'buchhaltung@alpenfein.example', NULL, NULL),
('emea', 'Search returns no results for hyphenated names', 'sev4', 'mitigated', '2026-11-18 11:30:00+00',
 'The tokenizer update was rolled back; the index of product names is being rebuilt.',
 'shop@meyer-soehne.example', NULL, NULL),
('emea', 'Login e-mails arrive an hour late', 'sev2', 'resolved', '2026-11-10 08:00:00+00',
 'The mail relay throttled us after a campaign.', 'it@dublin-crafts.example',
 'Moved transactional mail to a relay of its own.', '2026-11-10 13:25:00+00'),
('amer', 'Checkout API returns 502 in us-west', 'sev1', 'open', '2026-11-23 05:58:00+00',
 'Two of six checkout pods crash on start: their configuration lacks the tax service address.',
 'dana.whitfield@prairie-outfitters.example', NULL, NULL),
('amer', 'Gift cards can be redeemed twice', 'sev1', 'mitigated', '2026-11-20 19:15:00+00',
 'A retry after a timeout redeems again. Redemption is rate-limited while the fix is reviewed.',
 'ops@granite-goods.example', NULL, NULL),
('amer', 'Nightly export misses orders after 23:00', 'sev3', 'open', '2026-11-19 04:10:00+00',
 'The export filters by local time, the orders are in UTC.', 'data@maplewood-supply.example', NULL, NULL);

INSERT INTO tickets (tenant, title, body, status, created_at, customer_email) VALUES
('emea', 'Customer asks when refund 88213 arrives', 'Paid back on 22 November according to us; not in the account yet.',
 'open', '2026-11-22 16:02:00+00', 'ines.moreau@boutique-lumiere.example'),
('emea', 'Add a second approver for bank changes', 'Audit finding 14: one person can change payout accounts.',
 'open', '2026-11-20 10:20:00+00', NULL),
('emea', 'Replace the label printer in Lyon', 'It jams on every third label.', 'closed', '2026-11-12 07:45:00+00', NULL),
('amer', 'Reset MFA for the Denver warehouse lead', 'Phone lost; identity was checked by the manager.', 'open',
 '2026-11-22 21:11:00+00', 'dana.whitfield@prairie-outfitters.example'),
('amer', 'Export of Q3 orders for the auditors', 'They need CSV by Friday.', 'open', '2026-11-21 15:00:00+00', NULL);

INSERT INTO vendors (tenant, name, country, status, onboarded_at, bank_account) VALUES
('emea', 'Nordlicht Verpackungen GmbH', 'DE', 'active', '2025-03-04 10:00:00+00', 'DE00 1001 0010 0123 4567 89'),
('emea', 'Atelier Brun SARL', 'FR', 'active', '2025-09-17 10:00:00+00', 'FR00 2004 1010 0505 0001 3M02 606'),
('emea', 'Kestrel Freight Ltd', 'IE', 'blocked', '2024-06-01 10:00:00+00', 'IE00 AIBK 9311 5212 3456 78'),
('amer', 'Cascade Paper Co', 'US', 'active', '2025-01-20 10:00:00+00', '021000000-000123456789'),
('amer', 'Boreal Logistics Inc', 'CA', 'pending', NULL, '00000-003-1234567');
