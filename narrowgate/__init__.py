"""Narrowgate: what may this AI agent do, and how does it get exactly those credentials and no others?"""
